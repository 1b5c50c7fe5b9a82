# How everything is compiled, in one place.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2")  # assertions stay: they cost nothing beside a matrix product

find_program(LATHE_CCACHE ccache)
if(LATHE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${LATHE_CCACHE})
endif()

# <lathe/room/file.h> is framework/room/file.h, by the link framework/include/lathe.
set(LATHE_INCLUDE ${CMAKE_SOURCE_DIR}/framework/include)

# One place for the things that a program needs at run time: the build tree looks like an
# installed prefix.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(LATHE_PLUGIN_OUTPUT ${CMAKE_BINARY_DIR}/lib/lathe/plugins)

# A hash of all headers that a plugin can see: while the version is 0.x, a plugin fits exactly the
# headers that it was built with.
file(GLOB_RECURSE lathe_public_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/framework/*.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${lathe_public_headers})
set(lathe_header_text "")
foreach(header IN LISTS lathe_public_headers)
  file(SHA256 ${header} hash)
  string(APPEND lathe_header_text ${hash})
endforeach()
string(SHA256 LATHE_HEADER_HASH "${lathe_header_text}")
string(SUBSTRING ${LATHE_HEADER_HASH} 0 16 LATHE_HEADER_HASH)
# In a header of its own: as a compile definition it would rebuild every file at each change.
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/include/lathe/plugin/header_hash.h CONTENT
"// The hash of all headers of this build.
#pragma once

#ifndef LATHE_HEADER_HASH
#define LATHE_HEADER_HASH \"@LATHE_HEADER_HASH@\"
#endif
" @ONLY)

add_library(lathe_options INTERFACE)
target_include_directories(lathe_options INTERFACE ${LATHE_INCLUDE} ${CMAKE_BINARY_DIR}/include)
target_compile_options(lathe_options INTERFACE -fno-gnu-unique -fstack-protector-strong)
target_compile_definitions(lathe_options INTERFACE _GLIBCXX_ASSERTIONS)
target_link_options(lathe_options INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
if(LATHE_SANITIZE)
  target_compile_options(lathe_options INTERFACE -fsanitize=${LATHE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(lathe_options INTERFACE -fsanitize=${LATHE_SANITIZE})
endif()

add_library(lathe_warnings INTERFACE)
target_compile_options(lathe_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Werror)
