# Rein::opencv: core, imgproc and imgcodecs. Debian ships OpenCVConfig.cmake only with the full libopencv-dev.

find_path(OPENCV_INCLUDE opencv2/core.hpp PATH_SUFFIXES opencv4)
set(_libraries)
foreach(_part core imgproc imgcodecs)
  find_library(OPENCV_${_part} opencv_${_part})
  list(APPEND _libraries OPENCV_${_part})
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCVParts REQUIRED_VARS OPENCV_INCLUDE ${_libraries})

if(OpenCVParts_FOUND AND NOT TARGET Rein::opencv)
  add_library(Rein::opencv INTERFACE IMPORTED)
  target_include_directories(Rein::opencv SYSTEM INTERFACE "${OPENCV_INCLUDE}")
  target_link_libraries(Rein::opencv INTERFACE "${OPENCV_core}" "${OPENCV_imgproc}" "${OPENCV_imgcodecs}")
endif()
