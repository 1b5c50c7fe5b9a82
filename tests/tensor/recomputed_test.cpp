// Parts of a computation that run again in the backward pass, and operands with a recipe.
#include "support.h"

namespace lathe {
namespace {
using namespace testing_tensors;
using Inputs = std::vector<Tensor>;

// x is read before, inside and after the part, which itself holds such a part.
Tensor whole(const Inputs& in, bool again, int* runs) {
  const Tensor x = in[0];
  const Tensor early = exp(x);
  const auto inner = [=](const Tensor& y) { return tanh(multiply(y, x)); };
  const auto part = [=] {
    ++*runs;
    const Tensor y = linear(early, in[1], {}, Activation::silu, x);
    const RandomStream random(1, "dropout", 2);
    return dropout(again ? recomputed([=] { return inner(y); }) : inner(y), 0.3F, random);
  };
  return multiply(again ? recomputed(part) : part(), x);
}

TEST(Recomputed, GradientsHaveTheSameBits) {
  std::vector<Values> gradients[2];
  int runs[2] = {};
  for (const bool again : {false, true}) {
    const Inputs in = {leaf(random_tensor({5, 4}, "x")), leaf(random_tensor({4, 4}, "w"))};
    Tape tape;
    tape.backward(sum(whole(in, again, &runs[again])));
    for (const Tensor& input : in) gradients[again].push_back(gradient_of(input).values());
  }
  EXPECT_EQ(gradients[0], gradients[1]);
  EXPECT_EQ(runs[0], 1);
  EXPECT_EQ(runs[1], 2);
}

TEST(Recomputed, GradientsAreExact) {
  int runs = 0;
  check_gradients("a part that runs again",
                  [&](const Inputs& in) { return whole(in, true, &runs); },
                  {random_tensor({3, 4}, "x"), random_tensor({4, 4}, "w")});
}

TEST(Recomputed, WithoutATapeOrAGradientItRunsOnce) {
  int runs = 0;
  const Tensor x = leaf(random_tensor({2, 2}, "x"));
  const auto part = [&] {
    ++runs;
    return square(x);
  };
  EXPECT_EQ(recomputed(part).values(), square(x).values());
  EXPECT_EQ(runs, 1);
  Tape tape;
  const Tensor unused = recomputed(part);
  tape.backward(sum(exp(x)));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(gradient_of(x).values(), exp(x).values());
}

TEST(Recomputed, APartThatReadsNothingOfTheTapeSendsNothing) {
  const Tensor x = leaf(random_tensor({2}, "x"));
  const Tensor other = random_tensor({2}, "other");
  Tape tape;
  tape.backward(sum(multiply(recomputed([=] { return square(other); }), x)));
  EXPECT_EQ(gradient_of(x).values(), square(other).values());
}

// The memory of a result with a recipe goes back before the backward pass, and comes again in it.
TEST(Recomputed, ARecipeStandsForTheElements) {
  for (const auto& [name, produce] :
       std::map<std::string, std::function<Tensor(const Inputs&, Keep)>>{
           {"activation",
            [](const Inputs&in, Keep keep) {
              return linear(in[0], in[1], in[2], Activation::gelu_tanh, {}, keep);
            }},
           {"norm", [](const Inputs&in,
                       Keep keep) { return norm(in[0], in[2], in[2], Norm::layer, 1e-3, keep); }},
           {"gate", [](const Inputs&in, Keep keep) {
              return swiglu(concat({in[0], scale(in[0], 2)}, 1), keep);
            }}}) {
    std::vector<Values> kept;
    for (const Keep keep : {Keep::result, Keep::recipe}) {
      const Inputs in = {leaf(random_tensor({5, 4}, "x")), leaf(random_tensor({4, 4}, "w")),
                         leaf(random_tensor({4}, "b"))};
      std::weak_ptr<Storage> memory;
      Tape tape;
      Tensor y;
      {
        const Tensor made = produce(in, keep);
        memory = made.storage();
        y = linear(made, in[1]);
      }
      EXPECT_EQ(memory.expired(), keep == Keep::recipe) << name;
      tape.backward(sum(square(y)));
      std::vector<Values> all;
      for (const Tensor& input : in)
        all.push_back(gradient_of(input) ? gradient_of(input).values() : Values{});
      if (kept.empty()) kept = all;
      EXPECT_EQ(all, kept) << name;
    }
  }
}

}  // namespace
}  // namespace lathe
