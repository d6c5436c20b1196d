# Rein::torch: LibTorch 2.11 or newer from the third-party folder, or from a torch installation named by
# CMAKE_PREFIX_PATH (its root, or the share/cmake folder that torch.utils.cmake_prefix_path prints).

set(_hints "${REIN_THIRD_PARTY}/torch")
foreach(_prefix IN LISTS CMAKE_PREFIX_PATH)
  list(APPEND _hints "${_prefix}" "${_prefix}/torch" "${_prefix}/../..")
endforeach()
find_path(LIBTORCH_INCLUDE ATen/ATen.h HINTS ${_hints} PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(LIBTORCH_CPU torch_cpu HINTS ${_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(LIBTORCH_C10 c10 HINTS ${_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LIBTORCH_CPU LIBTORCH_C10 LIBTORCH_INCLUDE
  REASON_FAILURE_MESSAGE "run deploy/quickstart, or pass -DCMAKE_PREFIX_PATH=<torch folder>")

if(LibTorch_FOUND AND NOT TARGET Rein::torch)
  add_library(Rein::torch INTERFACE IMPORTED)
  target_include_directories(Rein::torch SYSTEM INTERFACE
    "${LIBTORCH_INCLUDE}" "${LIBTORCH_INCLUDE}/torch/csrc/api/include")
  # libtorch_cpu finds the CUDA run-time libraries through its own RPATH when the program runs.
  target_link_options(Rein::torch INTERFACE -Wl,--allow-shlib-undefined)
  target_link_libraries(Rein::torch INTERFACE "${LIBTORCH_CPU}" "${LIBTORCH_C10}" Threads::Threads)
  get_filename_component(LIBTORCH_LIB_DIR "${LIBTORCH_CPU}" DIRECTORY)
  if(REIN_CUDA)
    find_library(LIBTORCH_CUDA torch_cuda HINTS ${_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH REQUIRED)
    find_library(LIBTORCH_C10_CUDA c10_cuda HINTS ${_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH REQUIRED)
    # Nothing in our code names a symbol of libtorch_cuda on every path: keep it loaded all the same.
    target_link_libraries(Rein::torch INTERFACE
      -Wl,--no-as-needed "${LIBTORCH_CUDA}" "${LIBTORCH_C10_CUDA}" -Wl,--as-needed)
  endif()
endif()
