// The LM head in fine-grained ops, a block of rows at a time, so that [N, V] is never held.
#include <lathe/tensor/composed.h>

#include <algorithm>

namespace lathe {
using namespace composed;

namespace {
constexpr std::int64_t rows_at_once = 256;

View column(const View& x) { return reshaped(x, {x.shape[0], 1}); }

// What both forms of the head need of a block of n rows.
struct Block {
  Scratch x;        // [n, C] wide
  Scratch target;   // [n, 1] wide
  Scratch ignored;  // [n, 1]: 1 where the row does not count
  Scratch logits;   // [n, V], over the temperature
  Scratch lse;      // [n, 1]
  Scratch chosen;   // [n, V]: 1 at the target

  Block(Backend& backend, const View& rows, const View& weight, const View& targets,
        double temperature)
      : x(wide(backend, rows)),
        target(cast(backend, targets, x.view().dtype)),
        ignored(apply(backend, Binary::less, column(target), 0.0)),
        logits(apply(backend, Binary::divide, product(backend, x, transposed(weight, 0, 1)),
                     temperature)),
        lse(log_sum(backend, logits)),
        chosen(apply(backend, Binary::equal, column(target),
                     counting(backend, x.view().dtype, weight.shape[0]))) {}

  static Scratch log_sum(Backend& backend, const View& logits) {
    const Scratch most = reduced(backend, Reduce::maximum, logits, -1);
    const Scratch powers =
        apply(backend, Unary::exp, apply(backend, Binary::subtract, logits, most));
    return apply(backend, Binary::add,
                 apply(backend, Unary::log, reduced(backend, Reduce::sum, powers, -1)), most);
  }

  // log p_v of all v: [n, V]
  Scratch log_probabilities(Backend& backend) const {
    return apply(backend, Binary::subtract, logits, lse);
  }
  // A [n, 1] column into a [n] view, 0 where the row does not count.
  void store(Backend& backend, const View& values, const View& to) const {
    if (!to) return;
    backend.copy(reshaped(choose(backend, ignored, 0, values), to.shape), to);
  }
};

Scratch at_target(Backend& backend, const Block& block, const View& values) {
  const Scratch other = apply(backend, Binary::subtract, 1.0, block.chosen);
  return reduced(backend, Reduce::sum, choose(backend, other, 0, values), -1);
}

// Runs body(begin, end) over blocks of rows.
template <class Body>
void for_each_block(std::int64_t rows, Body body) {
  for (std::int64_t begin = 0; begin < rows; begin += rows_at_once) {
    body(begin, std::min(rows, begin + rows_at_once));
  }
}

View part(const View& view, std::int64_t begin, std::int64_t end) {
  return view ? sliced(view, 0, begin, end) : view;
}

// Sends the gradient of the logits of a block on; dweight has been cleared if it overwrites.
void send(Backend& backend, const Block& block, const View& dlogits, const View& weight,
          const Target& dx, const Target& dweight) {
  const Scratch counted = choose(backend, block.ignored, 0, dlogits);
  if (dx) put(backend, product(backend, counted, weight), dx);
  if (dweight) {
    put(backend, product(backend, transposed(counted, 0, 1), block.x), {dweight.view, true});
  }
}
}  // namespace

void Backend::head_loss(const HeadLossArguments& arguments) {
  const double smoothing = arguments.smoothing;
  const Scratch weight = wide(*this, arguments.weight);
  const auto V = static_cast<double>(arguments.weight.shape[0]);
  if (arguments.dweight && !arguments.dweight.add) fill(arguments.dweight.view, 0);
  for_each_block(arguments.x.shape[0], [&](std::int64_t begin, std::int64_t end) {
    const Block block(*this, part(arguments.x, begin, end), weight,
                      part(arguments.targets, begin, end), 1);
    const Scratch log_p = block.log_probabilities(*this);
    // loss = -(1 - smoothing) log p_target - smoothing / V sum_v log p_v + z_loss lse^2
    const Scratch hit =
        apply(*this, Binary::multiply, at_target(*this, block, log_p), smoothing - 1);
    const Scratch even =
        apply(*this, Binary::multiply, reduced(*this, Reduce::sum, log_p, -1), -smoothing / V);
    const Scratch size =
        apply(*this, Binary::multiply, apply(*this, Unary::square, block.lse), arguments.z_loss);
    const Scratch loss = apply(*this, Binary::add, apply(*this, Binary::add, hit, even), size);
    block.store(*this, loss, part(arguments.loss, begin, end));
    block.store(*this, block.lse, part(arguments.lse, begin, end));
    if (!arguments.dx && !arguments.dweight) return;

    const Scratch factor = apply(
        *this, Binary::add, apply(*this, Binary::multiply, block.lse, 2 * arguments.z_loss), 1.0);
    const Scratch pull = apply(*this, Binary::multiply, apply(*this, Unary::exp, log_p), factor);
    const Scratch wanted =
        apply(*this, Binary::add, apply(*this, Binary::multiply, block.chosen, 1 - smoothing),
              smoothing / V);
    const Scratch scale = wide(*this, part(arguments.weights, begin, end));
    const Scratch dlogits =
        apply(*this, Binary::multiply, apply(*this, Binary::subtract, pull, wanted), column(scale));
    send(*this, block, dlogits, weight, {part(arguments.dx.view, begin, end), arguments.dx.add},
         arguments.dweight);
  });
}

namespace {
// -sum_v p_v log p_v: [n, 1]
Scratch entropy_of(Backend& backend, const View& log_p) {
  const Scratch p = apply(backend, Unary::exp, log_p);
  const Scratch terms = apply(backend, Binary::multiply, p, log_p);
  return apply(backend, Unary::negate, reduced(backend, Reduce::sum, terms, -1));
}
}  // namespace

void Backend::head_tokens(const HeadTokensArguments& arguments) {
  const Scratch weight = wide(*this, arguments.weight);
  for_each_block(arguments.x.shape[0], [&](std::int64_t begin, std::int64_t end) {
    const Block block(*this, part(arguments.x, begin, end), weight,
                      part(arguments.targets, begin, end), arguments.temperature);
    const Scratch log_p = block.log_probabilities(*this);
    block.store(*this, at_target(*this, block, log_p), part(arguments.log_probability, begin, end));
    block.store(*this, block.lse, part(arguments.lse, begin, end));
    block.store(*this, entropy_of(*this, log_p), part(arguments.entropy, begin, end));
  });
}

void Backend::head_tokens_gradient(const HeadTokensGradients& arguments) {
  const HeadTokensArguments& forward = arguments.forward;
  const Scratch weight = wide(*this, forward.weight);
  if (arguments.dweight && !arguments.dweight.add) fill(arguments.dweight.view, 0);
  for_each_block(forward.x.shape[0], [&](std::int64_t begin, std::int64_t end) {
    const Block block(*this, part(forward.x, begin, end), weight, part(forward.targets, begin, end),
                      forward.temperature);
    const Scratch log_p = block.log_probabilities(*this);
    const Scratch p = apply(*this, Unary::exp, log_p);
    const Scratch dchosen = wide(*this, part(arguments.dlog_probability, begin, end));
    Scratch slope = apply(*this, Binary::multiply, apply(*this, Binary::subtract, block.chosen, p),
                          column(dchosen));
    if (arguments.dentropy) {
      // dE / dl_v = -p_v (log p_v + E)
      const Scratch dspread = wide(*this, part(arguments.dentropy, begin, end));
      const Scratch surprise = apply(*this, Binary::add, log_p, entropy_of(*this, log_p));
      const Scratch spread = apply(*this, Binary::multiply,
                                   apply(*this, Binary::multiply, p, surprise), column(dspread));
      slope = apply(*this, Binary::subtract, slope, spread);
    }
    const Scratch dlogits = apply(*this, Binary::divide, slope, forward.temperature);
    send(*this, block, dlogits, weight, {part(arguments.dx.view, begin, end), arguments.dx.add},
         arguments.dweight);
  });
}

}  // namespace lathe
