// The score of CrowS-Pairs as the authors' own program has it, of a tiny BERT of Hugging Face's:
// recorded in double precision by tests/oracles/record_crows_pairs.py.
#include <lathe/base/json.h>
#include <lathe/study/audit.h>

#include "models/bert_weights.h"
#include "run/tiny_session.h"

namespace lathe {
namespace {

TEST(CrowsPairs, ScoresAreThoseOfTheAuthorsProgram) {
  const Json recorded = read_json(LATHE_FIXTURES "/study/crows_pairs.json");
  const testing::TemporaryFolder folder;
  std::string vocabulary;
  for (const std::string token : recorded.at("vocabulary")) vocabulary += token + "\n";
  write_durably(folder / "vocab.txt", vocabulary);
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(folder / "vocab.txt");
  PairSet set{
      .name = "recorded", .rule = PairRule::shared, .files = {}, .pairs = {}, .left_out = {}};
  for (const Json& pair : recorded.at("pairs")) {
    std::vector<std::int32_t> ids = pair.at("tokens").at(0);
    EXPECT_EQ(tokenizer->encode(pair.at("more").get<std::string>()),
              std::vector(ids.begin() + 1, ids.end() - 1));
    set.pairs.push_back({pair.at("more"), pair.at("less"), "", "", "", 0});
  }

  Registry registry(testing::built_plugins());
  const std::shared_ptr<Backend> backend = registry.create<Backend>("reference", Config());
  Parameters parameters;
  const auto model = testing::load_bert(registry, backend, Precision::f64, parameters);
  const AuditScores scores =
      score_pairs(set, *model, parameters, *tokenizer, {.frame = {.begin = true, .end = true}});
  ASSERT_EQ(scores.scored.size(), recorded.at("pairs").size());
  for (std::size_t i = 0; i < scores.scored.size(); ++i) {
    const Json& pair = recorded.at("pairs").at(i);
    EXPECT_NEAR(scores.scored[i].more, pair.at("score_more").get<double>(), 1e-10) << i;
    EXPECT_NEAR(scores.scored[i].less, pair.at("score_less").get<double>(), 1e-10) << i;
  }
}

}  // namespace
}  // namespace lathe
