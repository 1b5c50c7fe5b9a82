#include "gpt2.h"

#include <lathe/base/error.h>
#include <lathe/learn/components.h>
#include <lathe/plugin/core_library.h>
#include <sys/resource.h>

#include <chrono>
#include <ctime>

namespace lathe::bench {
namespace {
constexpr std::int64_t vocabulary = 50257;

// Random tokens as a running text.
class RandomTokens final : public Dataset {
 public:
  struct Options : Keys {};
  explicit RandomTokens(const Config&) {}

  void read(const DataContext& context) override {
    const RandomStream random(context.seed, "bench/tokens");
    tokens_.resize(std::size_t{1} << 16);
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      tokens_[i] = static_cast<std::int32_t>(random.below(vocabulary, i));
    }
  }
  std::vector<std::string_view> texts() const override { return {}; }
  void tokenise(const DataContext&) override {}
  std::int64_t size(Split) const override { return 0; }
  Example example(Split, std::int64_t) const override { fail("random tokens have no examples"); }
  std::span<const std::int32_t> stream(Split split) const override {
    if (split == Split::validation) return {};
    return tokens_;
  }

 private:
  std::vector<std::int32_t> tokens_;
};

// GPT-2's number of tokens, without their texts.
class NamelessTokens final : public Tokenizer {
 public:
  struct Options : Keys {};
  explicit NamelessTokens(const Config&) {}

  std::vector<std::int32_t> encode(std::string_view text, Special) const override {
    return std::vector<std::int32_t>(text.size(), 0);
  }
  std::string_view token(std::int32_t) const override { return "."; }
  std::int64_t size() const override { return vocabulary; }
  std::int32_t mask_id() const override { return vocabulary - 1; }
  void save(const std::filesystem::path&) const override {}
};

// Hands every op on to backend onednn and takes its time.
class TimedBackend final : public Backend {
 public:
  static constexpr const char* provides[] = {"f32 precision", "bf16 precision"};
  struct Options : Keys {};
  explicit TimedBackend(const Config&) : inner_(registry().create<Backend>("onednn", Config())) {}

  std::string device() const override { return inner_->device(); }
  bool supports(DType type) const override { return inner_->supports(type); }
  void* allocate(std::size_t bytes) override { return inner_->allocate(bytes); }
  void release(void* data, std::size_t bytes) override { inner_->release(data, bytes); }

#define LATHE_TIMED(name, parameters, ...) \
  void name parameters override {          \
    const Timer timer(#name);              \
    inner_->name(__VA_ARGS__);             \
  }
#define LATHE_TIMED_ONE(name, type) LATHE_TIMED(name, (const type& a), a)
  LATHE_TIMED(copy, (const View& x, const View& y), x, y)
  LATHE_TIMED(fill, (const View& x, double value), x, value)
  LATHE_TIMED(unary, (Unary op, const View& x, const View& y), op, x, y)
  LATHE_TIMED(binary, (Binary op, const View& a, const View& b, const View& y), op, a, b, y)
  LATHE_TIMED(where, (const View& c, const View& a, const View& b, const View& y), c, a, b, y)
  LATHE_TIMED(reduce, (Reduce op, const View& x, const View& y), op, x, y)
  LATHE_TIMED(matmul, (const View& a, const View& b, const Target& y), a, b, y)
  LATHE_TIMED(softmax, (const View& x, const View& y), x, y)
  LATHE_TIMED(softmax_gradient, (const View& y, const View& d, const Target& x), y, d, x)
  LATHE_TIMED(gather, (const View& t, const View& i, const View& y), t, i, y)
  LATHE_TIMED(scatter_add, (const View& r, const View& i, const View& t), r, i, t)
  LATHE_TIMED(dropout, (const View& x, float p, const RandomStream& r, const Target& y), x, p, r, y)
  LATHE_TIMED(kv_append, (const View& x, const View& p, const View& c), x, p, c)
  LATHE_TIMED_ONE(linear, LinearArguments)
  LATHE_TIMED_ONE(linear_gradient, LinearGradients)
  LATHE_TIMED_ONE(norm, NormArguments)
  LATHE_TIMED_ONE(norm_gradient, NormGradients)
  LATHE_TIMED_ONE(attention, AttentionArguments)
  LATHE_TIMED_ONE(attention_gradient, AttentionGradients)
  LATHE_TIMED_ONE(embedding, EmbeddingArguments)
  LATHE_TIMED_ONE(embedding_gradient, EmbeddingGradients)
  LATHE_TIMED_ONE(head_loss, HeadLossArguments)
  LATHE_TIMED_ONE(head_tokens, HeadTokensArguments)
  LATHE_TIMED_ONE(head_tokens_gradient, HeadTokensGradients)
  LATHE_TIMED_ONE(rotary, RotaryArguments)
  LATHE_TIMED_ONE(sample, SampleArguments)
  LATHE_TIMED(swiglu, (const View& x, const View& y), x, y)
  LATHE_TIMED(swiglu_gradient, (const View& x, const View& d, const Target& y), x, d, y)
  LATHE_TIMED_ONE(adamw, OptimizerArguments)
  LATHE_TIMED_ONE(sgd, OptimizerArguments)
  LATHE_TIMED_ONE(lion, OptimizerArguments)
  LATHE_TIMED(interpolate, (const View& x, double amount, const View& y), x, amount, y)
#undef LATHE_TIMED_ONE
#undef LATHE_TIMED
  double sum_of_squares(const View& x) override {
    const Timer timer("sum_of_squares");
    return inner_->sum_of_squares(x);
  }
  void repeat(std::unique_ptr<Recording>& recording,
              const std::function<std::vector<const void*>()>& memory,
              const std::function<void()>& work) override {
    inner_->repeat(recording, memory, work);
  }

 private:
  struct Timer {
    explicit Timer(const char* op)
        : time(op_times()[op]), begin(seconds_now()), processor_begin(processor_seconds_now()) {}
    ~Timer() {
      time.seconds += seconds_now() - begin;
      time.processor_seconds += processor_seconds_now() - processor_begin;
      ++time.calls;
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    OpTime& time;
    double begin, processor_begin;
  };
  std::unique_ptr<Backend> inner_;
};
}  // namespace

Registry& registry() {
  static const std::unique_ptr<Registry> all = [] {
    PluginPlaces places;
    places.user_folders = false;
    places.library_folder = plugin_folder();
    auto made = std::make_unique<Registry>(places);
    add_components(*made);
    made->add<Dataset, RandomTokens>("random_tokens", "1.0.0");
    made->add<Tokenizer, NamelessTokens>("nameless", "1.0.0");
    made->add<Backend, TimedBackend>("timed", "1.0.0");
    return made;
  }();
  return *all;
}

Experiment gpt2_experiment(const Gpt2Setup& setup, Registry& registry) {
  std::vector<std::string> arguments = {cat("train.batch=", setup.batch),
                                        cat("train.length=", setup.length),
                                        "train.precision=" + setup.precision,
                                        "backend.use=" + (setup.timed ? "timed" : setup.backend)};
  if (setup.masked) {
    for (const char* argument : {"model.use=encoder", "+model.layers=12", "+model.heads=12",
                                 "+model.width=768", "objective.use=masked"}) {
      arguments.emplace_back(argument);
    }
  }
  arguments.push_back("+model.recompute=" + setup.recompute);
  if (setup.small) {
    for (const char* argument : {"model.layers=1", "model.heads=2", "model.width=64"}) {
      arguments.emplace_back(argument);
    }
  }
  if (!setup.timed && setup.backend == "onednn") {
    arguments.push_back("backend.matmul=" + setup.matmul);
  }
  if (setup.deterministic) arguments.emplace_back("backend.deterministic=true");
  return Experiment(LATHE_SOURCE "/bench/model/gpt2.toml", arguments, registry);
}

std::map<std::string, OpTime>& op_times() {
  static std::map<std::string, OpTime> times;
  return times;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double processor_seconds_now() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double resident_gigabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024e-9;
}

}  // namespace lathe::bench
