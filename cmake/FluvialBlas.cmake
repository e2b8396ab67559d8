# fluvial_blas: a CBLAS with its header, and LAPACK by its Fortran names, which OpenBLAS has too. OpenBLAS
# by default; another one with -DBLA_VENDOR=... (as for CMake's FindBLAS). Leaves what a pkg-config file
# needs in FLUVIAL_BLAS_LIBS and FLUVIAL_BLAS_REQUIRES.
add_library(fluvial_blas INTERFACE)
set(FLUVIAL_BLAS_LIBS)
set(FLUVIAL_BLAS_REQUIRES)
if(NOT BLA_VENDOR)
  pkg_check_modules(OPENBLAS IMPORTED_TARGET openblas)
endif()
if(OPENBLAS_FOUND)
  target_link_libraries(fluvial_blas INTERFACE PkgConfig::OPENBLAS)
  set(blas_includes ${OPENBLAS_INCLUDE_DIRS})
  set(blas_libraries ${OPENBLAS_LINK_LIBRARIES})
  set(FLUVIAL_BLAS_REQUIRES openblas)
else()
  find_package(BLAS REQUIRED)
  find_path(CBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas cblas REQUIRED)
  target_include_directories(fluvial_blas SYSTEM INTERFACE ${CBLAS_INCLUDE_DIR})
  target_link_libraries(fluvial_blas INTERFACE ${BLAS_LIBRARIES} ${BLAS_LINKER_FLAGS})
  set(blas_includes ${CBLAS_INCLUDE_DIR})
  set(blas_libraries ${BLAS_LIBRARIES} ${BLAS_LINKER_FLAGS})
  set(FLUVIAL_BLAS_LIBS ${BLAS_LIBRARIES})
endif()

include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_INCLUDES ${blas_includes})
set(CMAKE_REQUIRED_LIBRARIES ${blas_libraries})
check_c_source_compiles("
#include <cblas.h>
int main(void) {
  float a[4] = {0}, b[4] = {0}, c[4];
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 2, 2, 1, a, 2, b, 2, 0, c, 2);
  return (int)c[0];
}" FLUVIAL_HAS_CBLAS)
check_c_source_compiles("
void dpotrf_(void);
int main(void) {
  dpotrf_();
  return 0;
}" FLUVIAL_BLAS_HAS_LAPACK)
unset(CMAKE_REQUIRED_INCLUDES)
unset(CMAKE_REQUIRED_LIBRARIES)
if(NOT FLUVIAL_HAS_CBLAS)
  message(FATAL_ERROR "No CBLAS that compiles and links: install libopenblas-dev, or set BLA_VENDOR")
endif()
if(NOT FLUVIAL_BLAS_HAS_LAPACK) # a BLAS alone: LAPACK is a library of its own
  find_package(LAPACK REQUIRED)
  target_link_libraries(fluvial_blas INTERFACE ${LAPACK_LIBRARIES} ${LAPACK_LINKER_FLAGS})
  list(PREPEND FLUVIAL_BLAS_LIBS ${LAPACK_LIBRARIES})
endif()
