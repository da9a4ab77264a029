    .irp name, requantise, step, steps, rows, two_pixels, channel, product_begin, product_finish
    .purgem nsi_\name
    .endr
    .irp name, tiles_begin, tiles_group, tiles_next_column, tiles_finish
    .purgem nsi_\name
    .endr
