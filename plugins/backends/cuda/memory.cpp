// The device, its memory, and what comes back from it.
#include <lathe/base/error.h>

#include <algorithm>

#include "attention_cudnn.h"
#include "cuda.h"
#include "findings.h"
#include "product_choices.h"

namespace lathe {

CudaBackend::CudaBackend(const Config& config) : with_(config) {
  cuda::use_device(with_.device);
  stream_ = {with_.device, cuda::make_stream()};
  finding_ = cuda::make_finding();
  products_ = std::make_unique<cuda::ProductChoices>(cuda::open_product_library(with_.device),
                                                     !with_.deterministic, cuda::cache_folder());
  cudnn_ = cuda::open_cudnn(with_.attention, stream_, with_.deterministic);
}

CudaBackend::~CudaBackend() {
  const cuda::Stream stream = stream_;
  cudnn_.reset();
  products_.reset();
  cuda::drop_finding(finding_);
  cuda::drop_stream(stream);
}

std::string CudaBackend::device() const {
  const auto all = cuda::devices();
  const cuda::DeviceFacts& facts = all.at(static_cast<std::size_t>(with_.device));
  return cat(facts.name, ", compute capability ", facts.major, ".", facts.minor, ", ",
             facts.memory >> 20, " MiB, CUDA ", facts.runtime / 1000, ".",
             facts.runtime % 1000 / 10);
}

// An empty tensor still has an address, for a view without one is "none".
void* CudaBackend::take(std::size_t bytes) {
  const std::size_t size = std::max(bytes, alignment());
  void* data = nullptr;
  if (temporaries_.serves()) {
    data = temporaries_.take(size);
    held_ += size;
    return data;
  }
  data = cuda::take(size, stream_);
  if (data == nullptr) {
    cuda::trim(stream_);
    data = cuda::take(size, stream_);
  }
  if (data == nullptr) out_of_memory(bytes);
  temporaries_.note_take(data, size);
  held_ += size;
  peak_ = std::max(peak_, held_);
  return data;
}

void CudaBackend::out_of_memory(std::size_t bytes) const {
  const cuda::MemoryFacts facts = cuda::memory();
  fail("cuda: out of memory: ", bytes, " bytes could not be had; of ", facts.total >> 20,
       " MiB on the device ", facts.free >> 20, " MiB are free, and this run holds ", held_ >> 20,
       " MiB. Lower train.batch (and raise train.accumulation), train.length or the model's size, "
       "set "
       "model.recompute = \"block\", or use train.precision = \"bf16\"");
}

void* CudaBackend::allocate(std::size_t bytes) {
  void* data = take(bytes);
  cuda::set_bytes(data, 0, bytes, stream_);
  return data;
}

void CudaBackend::release(void* data, std::size_t bytes) {
  if (data == nullptr) return;
  held_ -= std::max(bytes, alignment());
  if (temporaries_.give(data)) return;
  cuda::give(data, stream_);
}

void CudaBackend::upload(void* to, const void* host, std::size_t bytes) {
  demand_no_recording("an upload");
  if (bytes != 0) cuda::copy_to_device(to, host, bytes, stream_);
}

void CudaBackend::download(void* host, const void* from, std::size_t bytes) {
  demand_no_recording("a download");
  if (bytes == 0) return;
  cuda::copy_to_host(host, from, bytes, stream_);
  raise_finding();
}

void CudaBackend::synchronise() {
  demand_no_recording("waiting");
  cuda::wait(stream_);
  raise_finding();
}

void CudaBackend::raise_finding() {
  if (finding_->what == 0) return;
  const cuda::Finding found = *finding_;
  *finding_ = {};
  fail("cuda: ", cuda::name_of(static_cast<cuda::Place>(found.what)), ": index ", found.index,
       " at position ", found.position, " is outside a table of ", found.rows, " rows");
}

}  // namespace lathe
