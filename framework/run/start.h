// What a run begins with: the weights of another run, which know tokens by their ids alone.
#pragma once

#include <lathe/run/stages.h>
#include <lathe/text/tokenizer.h>

#include <filesystem>
#include <string>

namespace lathe {

// The weights that a run began with.
struct StartWeights {
  std::string checkpoint;  // its folder
  std::string sha256;      // of the file with the weights
};

// Those of a run (its best checkpoint) or of a checkpoint, which is verified.
StartWeights start_weights(const std::string& path);

// The checkpoint that holds the noted weights still: the noted one, or one of the run or checkpoint
// `path`, which may have been moved since. An Error when none does.
std::string checkpoint_with(const StartWeights& noted, const std::filesystem::path& path);

// An Error unless the run, or checkpoint of a run, that train.start names has numbered its tokens
// like this tokenizer. One without text, or that keeps no tokenizer, is taken at its word.
void demand_same_tokens(const Experiment& experiment, const Tokenizer& tokenizer,
                        const std::filesystem::path& work_folder);

// The same before anything runs, for every stage whose start is there already: the tokenizer is
// made as the run would make it. A vocabulary that is to be learnt from more than 4 MB of text, or
// from data that cannot be read here, is left to the run, which asks before its first step.
void demand_same_tokens(const Stages& stages, Registry& registry,
                        const std::filesystem::path& work_folder);

}  // namespace lathe
