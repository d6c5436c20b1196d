# Compiler settings that hold for all of our own code.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -D_GLIBCXX_ASSERTIONS")

find_program(CCACHE ccache)
if(CCACHE)
  # The sloppiness is what ccache needs to work with precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()

find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# -fPIC everywhere, programs too: a precompiled header serves only files with the same code model.
add_library(rein_flags INTERFACE)
target_compile_options(rein_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fPIC -Wall -Wextra -Werror -Wno-missing-field-initializers>)
target_include_directories(rein_flags INTERFACE "${CMAKE_SOURCE_DIR}")
if(REIN_SANITIZE)
  target_compile_options(rein_flags INTERFACE -fsanitize=${REIN_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(rein_flags INTERFACE -fsanitize=${REIN_SANITIZE})
  if(REIN_SANITIZE MATCHES "thread")
    # Where it is defined, headers of Protobuf add members that the library, built without, does not know.
    target_compile_options(rein_flags INTERFACE -U__SANITIZE_THREAD__)
  endif()
endif()
