    .irp name, enter_all, leave_all, chunk, chunk_in_place, sums, sums_in_place, first_pixel, results, gemm, add, blocks, block_of_four, depthwise_1, group, depthwise_2, image_rows
    .purgem nsi_\name
    .endr
