    // Another version of the crate may be assembled after this one.
    .irp name, section, start, function, stop, end, pushed, enter, leave, versioned
    .purgem nsi_\name
    .endr
