#include "store_hdf5.h"

#define CHUNK_BYTES ((size_t)256 << 10)
#define DEFLATE     4

/* Chunked, shuffled and compressed where there is something to compress; an empty or small dataset
 * stays contiguous, for a chunk may not be longer than a dataset of fixed size. */
static hid_t creation(const hsize_t *dims, int rank, size_t row_bytes)
{
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    if (plist < 0) return -1;
    herr_t done = H5Pset_obj_track_times(plist, 0); /* the same result gives the same bytes */
    bool empty = dims[0] == 0 || (rank == 2 && dims[1] == 0);
    if (!empty && dims[0] > 64) {
        hsize_t rows = CHUNK_BYTES / row_bytes, chunk[2] = {0, rank == 2 ? dims[1] : 0};
        chunk[0] = rows < 64 ? 64 : rows > dims[0] ? dims[0] : rows;
        if (H5Pset_chunk(plist, rank, chunk) < 0 || H5Pset_shuffle(plist) < 0 ||
            H5Pset_deflate(plist, DEFLATE) < 0)
            done = -1;
    }
    if (done >= 0) return plist;
    H5Pclose(plist);
    return -1;
}

hid_t me_hdf5_create_dataset(hid_t at, const char *name, hid_t type, const hsize_t *dims, int rank)
{
    hid_t dataset = -1, space = H5Screate_simple(rank, dims, NULL);
    hid_t plist = space < 0 ? -1 : creation(dims, rank, H5Tget_size(type) * (rank == 2 ? dims[1] : 1));
    if (plist >= 0) dataset = H5Dcreate2(at, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    me_hdf5_close(plist);
    me_hdf5_close(space);
    return dataset;
}
