# Everything comes from Debian 12 packages; `./lathe` installs them. Versions are checked here, so
# that a machine that is set up by hand fails early and says what to install.
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)  # libssl-dev
find_package(fmt 9.1 REQUIRED)                        # libfmt-dev
find_package(spdlog 1.10 REQUIRED)                    # libspdlog-dev
find_package(nlohmann_json 3.11 REQUIRED)             # nlohmann-json3-dev
find_package(Boost 1.74 REQUIRED COMPONENTS filesystem system program_options)  # libboost-*-dev, for Boost.DLL too
find_package(ZLIB REQUIRED)                           # zlib1g-dev
find_package(ICU 72 REQUIRED COMPONENTS uc)           # libicu-dev
find_package(PkgConfig REQUIRED)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus>=3.3)  # libtomlplusplus-dev
pkg_check_modules(oniguruma REQUIRED IMPORTED_TARGET oniguruma>=6.9.8)      # libonig-dev
pkg_check_modules(lzma REQUIRED IMPORTED_TARGET liblzma>=5.4)               # liblzma-dev

# oneDNN, 2.6 (Debian 12's libdnnl-dev) or 3.x. Its own CMake package would ask for OpenCL, which we
# do not use.
find_path(LATHE_DNNL_INCLUDE dnnl.hpp REQUIRED)
find_library(LATHE_DNNL_LIBRARY dnnl REQUIRED)
file(STRINGS ${LATHE_DNNL_INCLUDE}/oneapi/dnnl/dnnl_version.h dnnl_lines
     REGEX "define DNNL_VERSION_(MAJOR|MINOR) ")
string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*" "\\1.\\2" dnnl_version "${dnnl_lines}")
if(dnnl_version VERSION_LESS 2.6)
  message(FATAL_ERROR "oneDNN ${dnnl_version} is too old: 2.6 or newer is needed (libdnnl-dev)")
endif()
add_library(lathe_dnnl INTERFACE)
target_include_directories(lathe_dnnl SYSTEM INTERFACE ${LATHE_DNNL_INCLUDE})
target_link_libraries(lathe_dnnl INTERFACE ${LATHE_DNNL_LIBRARY})

if(LATHE_TESTS)
  find_package(GTest 1.12 REQUIRED)
endif()
if(LATHE_BENCHMARKS)
  find_package(benchmark 1.7 REQUIRED)
endif()
