// Arrays from files, by the ending of the name.
#include "fluvial/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/file.h"
#include "io/table_format.h"

static bool ends_with(const char *path, const char *ending) {
  const size_t n = strlen(path), m = strlen(ending);
  return n >= m && strcasecmp(path + n - m, ending) == 0;
}

flv_status flv_table_read(const char *path, flv_shape *shape, double **data, flv_error *err) {
  const bool npy = ends_with(path, ".npy");
  if (!npy && !ends_with(path, ".csv") && !ends_with(path, ".tsv") && !ends_with(path, ".txt"))
    return flv_fail(err, FLV_EINVAL, "%s: expected a name ending in .npy, .csv, .tsv or .txt",
                    path);
  char *bytes = NULL;
  size_t size = 0;
  FLV_TRY(flv_file_read(path, &bytes, &size, err));
  const flv_status status = npy ? flv_npy_parse(bytes, size, shape, data, err)
                                : flv_csv_parse(bytes, size, shape, data, err);
  if (status != FLV_OK) flv_error_prefix(err, "%s", path);
  free(bytes);
  return status;
}
