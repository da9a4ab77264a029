    .purgem nsi_requantise
