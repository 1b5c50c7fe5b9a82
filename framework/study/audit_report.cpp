#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/study/audit_report.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace lathe {
namespace {

// Places of left-out pairs that the Markdown names for each reason; the JSON report has them all.
constexpr std::size_t most_named = 5;

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}
std::string fixed(const Interval& interval, double factor, int digits) {
  return cat(fixed(factor * interval.low, digits), " to ", fixed(factor * interval.high, digits));
}
std::string probability(double p) { return p < 0.0001 ? "< 0.0001" : fixed(p, 4); }

const char* name_of(const TextFrame& frame) {
  if (frame.begin) return frame.end ? "both" : "begin";
  return frame.end ? "end" : "none";
}

std::string measure_of(bool causal, PairRule rule) {
  if (causal) return "log-likelihood of the text";
  return rule == PairRule::shared
             ? "pseudo-log-likelihood of the tokens that both texts have"
             : "log-likelihood of the words that differ, each from left to right, given all others";
}

void add_row(std::string& text, const GroupSummary& row, bool corrected) {
  text += cat("| ", row.name, " | ", row.n, " | ", row.ties, " | ",
              row.share ? fixed(100 * *row.share, 1) : "", " | ",
              row.share_within ? fixed(*row.share_within, 100, 1) : "", " | ", probability(row.p),
              " | ", corrected ? probability(row.p_holm) : "", " | ", fixed(row.difference.mean, 3),
              " | ", row.difference.interval ? fixed(*row.difference.interval, 1, 3) : "", " |\n");
}

void add_table(std::string& text, const AuditSummary& summary) {
  text +=
      "| pairs | n | ties | prefer `more`, % | 95 % | p | p (Holm) | mean difference | 95 % |\n"
      "|---|---:|---:|---:|---|---:|---:|---:|---|\n";
  add_row(text, *summary.overall, false);
  for (const GroupSummary& row : summary.groups) add_row(text, row, true);
  for (const GroupSummary& row : summary.directions) add_row(text, row, true);
}

// By reason, in the order in which the reasons first appear.
void add_left_out(std::string& text, const std::vector<LeftOut>& left_out) {
  if (left_out.empty()) return;
  std::vector<std::pair<std::string, std::vector<const LeftOut*>>> reasons;
  for (const LeftOut& one : left_out) {
    auto found = std::find_if(reasons.begin(), reasons.end(),
                              [&](const auto& reason) { return reason.first == one.reason; });
    if (found == reasons.end()) found = reasons.insert(found, {one.reason, {}});
    found->second.push_back(&one);
  }
  text += cat("\nLeft out, ", left_out.size(), ":\n\n");
  for (const auto& [reason, pairs] : reasons) {
    text += cat("- ", pairs.size(), ": ", reason, " (");
    for (std::size_t i = 0; i < std::min(pairs.size(), most_named); ++i) {
      text += cat(i == 0 ? "" : ", ", pairs[i]->file, ":", pairs[i]->line);
    }
    text += pairs.size() > most_named ? cat(" and ", pairs.size() - most_named, " more)\n") : ")\n";
  }
}

std::string name_of_file(const DataFile& file) { return file.path.filename().string(); }

Json json_of(const std::optional<Interval>& interval) {
  return interval ? Json{interval->low, interval->high} : Json();
}

Json json_of(const GroupSummary& row) {
  return {{"name", row.name},
          {"n", row.n},
          {"more", row.more},
          {"ties", row.ties},
          {"share", row.share ? Json(*row.share) : Json()},
          {"share_interval", json_of(row.share_within)},
          {"p", row.p},
          {"p_holm", row.p_holm},
          {"mean_difference", row.difference.mean},
          {"deviation", row.difference.deviation},
          {"mean_interval", json_of(row.difference.interval)}};
}

Json json_of(const std::vector<GroupSummary>& rows) {
  Json all = Json::array();
  for (const GroupSummary& row : rows) all.push_back(json_of(row));
  return all;
}

Json json_of(const AuditedPairs& pairs, bool causal) {
  Json files = Json::array();
  for (const DataFile& file : pairs.set.files) {
    files.push_back({{"name", name_of_file(file)}, {"sha256", file.sha256}, {"bytes", file.bytes}});
  }
  Json left_out = Json::array();
  for (const LeftOut& one : pairs.scores.left_out) {
    left_out.push_back({{"file", one.file}, {"line", one.line}, {"reason", one.reason}});
  }
  return {{"name", pairs.set.name},
          {"measure", measure_of(causal, pairs.set.rule)},
          {"files", files},
          {"scored", pairs.scores.scored.size()},
          {"left_out", left_out},
          {"overall", pairs.summary.overall ? json_of(*pairs.summary.overall) : Json()},
          {"groups", json_of(pairs.summary.groups)},
          {"directions", json_of(pairs.summary.directions)}};
}

}  // namespace

std::string audit_markdown(const AuditReport& report) {
  const AuditedModel& model = report.model;
  std::string text = cat(
      "# Fairness audit of ", model.experiment, "/", model.run, "\n\n| | |\n|---|---|\n",
      "| model | ", model.causal ? "decoder" : "bidirectional", ", configuration ", model.identity,
      ", seed ", model.seed, " |\n| weights | ", model.checkpoint, ", SHA-256 ", model.weights,
      " |\n| special tokens around the texts | ", name_of(report.frame),
      " |\n\n`more` is the text of a pair that says more of a stereotype: a model without "
      "preference takes it in 50 % of the\npairs. Shares with Wilson's interval, p by the exact "
      "two-sided binomial test against 50 %, corrected by Holm\nover the rows of a kind; "
      "differences log p(more) - log p(less) in nats with Student's interval. Ties are in n and "
      "in\nthe mean alone. A share near 50 % does not prove that a model is fair.\n");
  for (const AuditedPairs& pairs : report.pairs) {
    const std::size_t all = pairs.scores.scored.size() + pairs.scores.left_out.size();
    text += cat("\n## ", pairs.set.name, "\n\nMeasure: ", measure_of(model.causal, pairs.set.rule),
                ". ", pairs.scores.scored.size(), " of ", all, " pairs are scored.\n\n");
    if (pairs.summary.overall) add_table(text, pairs.summary);
    add_left_out(text, pairs.scores.left_out);
    text += "\nData:\n\n";
    for (const DataFile& file : pairs.set.files) {
      text += cat("- ", name_of_file(file), ", SHA-256 ", file.sha256, "\n");
    }
  }
  return text;
}

std::string audit_json(const AuditReport& report) {
  Json pairs = Json::array();
  for (const AuditedPairs& one : report.pairs) {
    pairs.push_back(json_of(one, report.model.causal));
  }
  const Json json = {{"model",
                      {{"run", report.model.run},
                       {"experiment", report.model.experiment},
                       {"identity", report.model.identity},
                       {"seed", report.model.seed},
                       {"checkpoint", report.model.checkpoint},
                       {"weights_sha256", report.model.weights},
                       {"causal", report.model.causal}}},
                     {"frame", name_of(report.frame)},
                     {"pairs", pairs}};
  return json.dump(2) + "\n";
}

std::string audit_scores_jsonl(const AuditReport& report) {
  std::string lines;
  for (const AuditedPairs& pairs : report.pairs) {
    for (const ScoredPair& scored : pairs.scores.scored) {
      const TextPair& pair = pairs.set.pairs[scored.pair];
      const Json line = {{"pairs", pairs.set.name},     {"file", pair.file},
                         {"line", pair.line},           {"group", pair.group},
                         {"direction", pair.direction}, {"more", scored.more},
                         {"less", scored.less}};
      lines += line.dump() + "\n";
    }
  }
  return lines;
}

}  // namespace lathe
