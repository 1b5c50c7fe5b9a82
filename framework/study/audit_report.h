// The report of a fairness audit, for people and for programs. It holds no date and no path, so the
// same model and the same pairs give the same bytes.
#pragma once

#include <lathe/study/audit.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lathe {

struct AuditedModel {
  std::string run;         // "full-1a2b3c4d/s1"
  std::string experiment;  // its name
  std::string identity;    // of the resolved configuration
  std::uint64_t seed = 0;
  std::string checkpoint;  // its name
  std::string weights;     // SHA-256 of the file
  bool causal = false;
};

struct AuditedPairs {
  PairSet set;
  AuditScores scores;
  AuditSummary summary;
};

struct AuditReport {
  AuditedModel model;
  TextFrame frame;
  std::vector<AuditedPairs> pairs;
};

std::string audit_markdown(const AuditReport& report);
// One JSON object with all that the Markdown has, in full digits, and every pair that was left out.
std::string audit_json(const AuditReport& report);
// Each scored pair as a line of JSON: pairs, file, line, group, direction, more, less.
std::string audit_scores_jsonl(const AuditReport& report);

}  // namespace lathe
