// lathe audit: which of two texts a trained model prefers, over pairs that differ in whom they are
// about.
#include <lathe/base/file.h>
#include <lathe/base/hash.h>
#include <lathe/base/log.h>
#include <lathe/base/output_file.h>
#include <lathe/host/trained_options.h>
#include <lathe/run/manifest.h>
#include <lathe/run/state_files.h>
#include <lathe/study/audit_report.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace lathe {
namespace {
namespace po = boost::program_options;

void declare(po::options_description& options) {
  options.add_options()(
      "pairs", po::value<std::vector<std::string>>()->composing(),
      "crows_pairs or winobias, which lie in $LATHE_DATA (both are the default); a .csv in the "
      "form "
      "of CrowS-Pairs; a folder in that of WinoBias; a JSON Lines file with \"more\", \"less\" and "
      "perhaps \"group\" and \"direction\". May be given again")(
      "markdown", po::value<std::string>(),
      "write the report to this file, not to standard output")(
      "scores", po::value<std::string>(),
      "write the two scores of each pair to this JSON Lines file")(
      "places", po::value<std::int64_t>()->default_value(8192),
      "tokens that go through the model at a time");
  declare_frame(options);
  declare_trained(options);
}

// Before the scoring, which may take hours.
void demand_folder(const Arguments& arguments, const char* name) {
  if (!arguments.has(name)) return;
  const std::string folder = folder_of(arguments.text(name));
  if (std::filesystem::is_directory(folder)) return;
  fail("--", name, " ", arguments.text(name), ": there is no folder ", folder,
       ". Make it, or name another file");
}

std::vector<PairSet> pairs_of(const Arguments& arguments) {
  std::vector<std::string> names = {"crows_pairs", "winobias"};
  if (arguments.has("pairs")) names = arguments.options["pairs"].as<std::vector<std::string>>();
  const char* data = std::getenv("LATHE_DATA");
  std::vector<PairSet> sets;
  for (const std::string& name : names) {
    sets.push_back(read_pairs(name, data == nullptr ? "" : data));
  }
  return sets;
}

// The checkpoint lies in RUN/checkpoints.
AuditedModel described(const std::string& checkpoint, const Session& session) {
  const std::filesystem::path folder = std::filesystem::absolute(checkpoint).lexically_normal();
  const std::filesystem::path run = folder.parent_path().parent_path();
  const ManifestNotes notes = read_manifest(run);
  const std::string averaged = join(checkpoint, "average.safetensors");
  return {.run = cat(run.parent_path().filename().string(), "/", run.filename().string()),
          .experiment = notes.experiment,
          .identity = notes.identity,
          .seed = session.seed,
          .checkpoint = folder.filename().string(),
          .weights =
              sha256_of_file(exists(averaged) ? averaged : join(checkpoint, "weights.safetensors")),
          .causal = session.model->causal()};
}

AuditedPairs audited(PairSet set, const Session& session, const AuditOptions& options,
                     ProgressStyle style) {
  std::unique_ptr<Progress> progress;
  AuditedPairs pairs;
  pairs.scores =
      score_pairs(set, *session.model, session.parameters, *session.tokenizer, options,
                  [&](std::int64_t done, std::int64_t all) {
                    if (!progress) {
                      progress = std::make_unique<Progress>(cat("audit ", set.name), all, style);
                    }
                    progress->update(done);
                  });
  if (progress) progress->finish();
  if (!pairs.scores.left_out.empty()) {
    const LeftOut& first = pairs.scores.left_out.front();
    log_warning(set.name, ": ", pairs.scores.left_out.size(), " of ",
                pairs.scores.left_out.size() + pairs.scores.scored.size(),
                " pairs are left out; the first is ", first.file, ":", first.line, ": ",
                first.reason);
  }
  pairs.summary = summarise(set, pairs.scores.scored);
  pairs.set = std::move(set);
  return pairs;
}

int audit(const Arguments& arguments, Registry& registry) {
  const TrainedRequest request = trained_request(arguments);
  arguments.demand_at_most(1);
  AuditOptions options;
  options.places = arguments.options["places"].as<std::int64_t>();
  if (options.places < 1) throw UsageError("--places: expected at least 1");
  demand_folder(arguments, "markdown");
  demand_folder(arguments, "scores");
  std::vector<PairSet> sets = pairs_of(arguments);
  const Trained trained(request, registry);
  options.frame = frame_of(arguments, trained);

  AuditReport report;
  report.model = described(checkpoint_of(request.path, !request.newest), trained.session);
  report.frame = options.frame;
  for (PairSet& set : sets) {
    report.pairs.push_back(audited(std::move(set), trained.session, options, arguments.progress()));
  }
  if (arguments.has("scores")) {
    write_output(arguments.text("scores"), audit_scores_jsonl(report));
  }
  if (arguments.has("markdown")) write_output(arguments.text("markdown"), audit_markdown(report));
  if (arguments.has("json")) {
    std::fputs(audit_json(report).c_str(), stdout);
  } else if (!arguments.has("markdown")) {
    std::fputs(audit_markdown(report).c_str(), stdout);
  }
  return exit_done;
}
}  // namespace

const Verb audit_verb{"audit", "RUN [--pairs crows_pairs|winobias|FILE] ...",
                      "which of two texts a model prefers", declare, audit};

}  // namespace lathe
