# Rein::arrow: Arrow and Parquet from the pyarrow wheel in the third-party folder (Debian 12 has no libarrow).

set(_root "${REIN_THIRD_PARTY}/pyarrow")
find_path(ARROW_INCLUDE arrow/api.h HINTS "${_root}/include" NO_DEFAULT_PATH)
file(GLOB ARROW_LIBRARY "${_root}/libarrow.so.*")
file(GLOB PARQUET_LIBRARY "${_root}/libparquet.so.*")

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ArrowWheel
  REQUIRED_VARS ARROW_INCLUDE ARROW_LIBRARY PARQUET_LIBRARY
  REASON_FAILURE_MESSAGE "run deploy/quickstart: it unpacks Arrow into the third-party folder")

if(ArrowWheel_FOUND AND NOT TARGET Rein::arrow)
  add_library(Rein::arrow INTERFACE IMPORTED)
  target_include_directories(Rein::arrow SYSTEM INTERFACE "${ARROW_INCLUDE}")
  target_link_options(Rein::arrow INTERFACE -Wl,--allow-shlib-undefined)
  target_link_libraries(Rein::arrow INTERFACE "${PARQUET_LIBRARY}" "${ARROW_LIBRARY}")
endif()
