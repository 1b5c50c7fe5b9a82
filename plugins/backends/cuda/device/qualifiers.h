// Where a function runs. Outside of nvcc (the plugin's host code, the emulator of the tests) both are
// plain inline functions.
#pragma once

#ifdef __CUDACC__
#define LATHE_DEVICE __device__ __forceinline__
#define LATHE_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define LATHE_DEVICE inline
#define LATHE_HOST_DEVICE inline
#endif
