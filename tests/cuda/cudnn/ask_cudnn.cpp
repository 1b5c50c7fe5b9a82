// Asks cuDNN, without a device, how many engines it has for the attention graphs of the plugin.
//
//   ask_cudnn DEVICE.json VERSION    VERSION: the compute capability times 100, instead of the
//   file's
//
// One line for each case of cases.h: its name, forward, backward, deterministic backward. A process
// of its own, because the loader's path must lead to the toolkit's stub of libcuda.
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "cases.h"
#include "cudnn_attention.h"

namespace lathe::cuda::cudnn {
namespace {
std::size_t engines(const Graph& graph, const std::string& device) {
  return engine_configurations(graph.finished(nullptr), device).size();
}

int ask(const std::string& file, const std::string& version) {
  std::ifstream stream(file);
  std::string device{std::istreambuf_iterator<char>(stream), {}};
  const std::string key = "\"deviceVer\": ";
  const std::size_t at = device.find(key);
  if (at == std::string::npos) {
    std::cerr << file << " has no deviceVer\n";
    return 2;
  }
  device.replace(at + key.size(), 3, version);
  if (!library()) {
    std::cout << "skipped: " << library().missing << '\n';
    return 0;
  }
  std::cout << "version " << library().version() << '\n';
  for (const Example& example : examples()) {
    std::cout << example.name << ' ' << engines(attention_graph(example.shape), device) << ' '
              << engines(attention_gradient_graph(example.shape, false), device) << ' '
              << engines(attention_gradient_graph(example.shape, true), device) << '\n';
  }
  return 0;
}
}  // namespace
}  // namespace lathe::cuda::cudnn

int main(int count, char** arguments) {
  if (count != 3) return 2;
  try {
    return lathe::cuda::cudnn::ask(arguments[1], arguments[2]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
