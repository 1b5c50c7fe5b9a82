# Everything comes from Debian 12 packages; `./lathe` installs them. Versions are checked here, so
# that a machine that is set up by hand fails early and says what to install.
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)  # libssl-dev
find_package(fmt 9.1 REQUIRED)                        # libfmt-dev
find_package(spdlog 1.10 REQUIRED)                    # libspdlog-dev
find_package(nlohmann_json 3.11 REQUIRED)             # nlohmann-json3-dev
find_package(Boost 1.74 REQUIRED COMPONENTS filesystem system)  # libboost-*-dev (Boost.DLL)
find_package(ZLIB REQUIRED)                           # zlib1g-dev
find_package(PkgConfig REQUIRED)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus>=3.3)  # libtomlplusplus-dev
pkg_check_modules(oniguruma REQUIRED IMPORTED_TARGET oniguruma>=6.9.8)      # libonig-dev
pkg_check_modules(lzma REQUIRED IMPORTED_TARGET liblzma>=5.4)               # liblzma-dev

# Debian 12 has oneDNN 2.6 as dnnl (libdnnl-dev); later ones call themselves dnnl as well.
find_package(dnnl 2.6 CONFIG QUIET)
if(NOT dnnl_FOUND)
  find_package(dnnl 3 CONFIG REQUIRED)
endif()

if(LATHE_TESTS)
  find_package(GTest 1.12 REQUIRED)
endif()
if(LATHE_BENCHMARKS)
  find_package(benchmark 1.7 REQUIRED)
endif()
