#include <lathe/base/error.h>
#include <lathe/learn/model_copy.h>

namespace lathe {

Model::~Model() = default;

const Parameter& Model::head() const {
  fail("this model has no head of the form logits = hidden head^T");
}

Tensor Model::logits(const Tensor& hidden) const { return linear(hidden, head().value); }

HeadTokens Model::score(const Tensor& hidden, const Tensor& targets, double temperature) const {
  return head_tokens(hidden, head().value, targets, temperature);
}

HeadLoss Model::cross_entropy(const Tensor& hidden, const Tensor& targets, const Tensor& weights,
                              const HeadLossOptions& options) const {
  return head_loss(hidden, head().value, targets, weights, options);
}

Tensor Model::values(const ModelInput&, const Tensor&) const {
  fail(
      "this model gives no state values: choose one that has a value head (mlp, table, gpt), or "
      "an objective that needs none");
}

HeadTokens Model::score_moves(const Tensor&, const Tensor&) const {
  fail("this model chooses among discrete actions; for actions that are numbers choose model mlp");
}

Tensor Model::deviations() const {
  fail("this model chooses among discrete actions; for actions that are numbers choose model mlp");
}

std::int64_t Model::context() const { return 0; }

KeyValueCache Model::make_cache(const std::shared_ptr<Backend>&, DType, std::int64_t,
                                std::int64_t) const {
  fail("this model cannot write text token by token");
}

void ModelCopy::take(const Parameters& other) {
  parameters.backend()->copy(other.master().view(), parameters.master().view());
  parameters.refresh();
}

void ModelCopy::approach(const Parameters& other, double rate) {
  if (rate == 1) return take(other);
  parameters.backend()->interpolate(other.master().view(), rate, parameters.master().view());
  parameters.refresh();
}

void ModelCopy::save(State& state) const {
  if (parameters.precision() == Precision::f64) {
    state.put("weights", parameters.master().values());
  } else {
    state.put("weights", parameters.master().floats());
  }
}

namespace {
template <class T>
void upload(const std::vector<T>& values, const Tensor& to) {
  if (static_cast<std::int64_t>(values.size()) != to.count()) {
    fail("the saved copy of the model has ", values.size(), " weights, the model ", to.count());
  }
  to.backend().upload(to.view().data, values.data(), values.size() * sizeof(T));
}
}  // namespace

void ModelCopy::load(const State& state) {
  if (parameters.precision() == Precision::f64) {
    upload(state.get<double>("weights"), parameters.master());
  } else {
    upload(state.get<float>("weights"), parameters.master());
  }
  parameters.refresh();
}

}  // namespace lathe
