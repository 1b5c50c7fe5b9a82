// What flows from a feed through an objective: a plain struct of host values.
#pragma once

#include <lathe/data/metric.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lathe {

// What a policy lived through, place by place: filled by feeds that act in an environment. Place
// (b, t) holds an observation, the action chosen there, and what came of it. Discrete actions are
// Batch::targets, discrete observations Batch::tokens; a place where nothing was chosen (a prompt,
// padding) has weight 0. The successor of a place is the next one of its row, unless the place is
// listed in open_places or its episode has ended there.
struct Experience {
  std::int64_t width = 0;                // O, numbers of an observation; 0: it is a token or state
  std::vector<float> observations;       // [B, T, O]
  std::vector<float> moves;              // [B, T, A] actions of a box
  std::vector<float> rewards;            // [B, T] of the action at the place
  std::vector<float> discounts;          // [B, T] of the successor: gamma, gamma^n after n steps
  std::vector<std::uint8_t> terminated;  // [B, T] the episode came to its own end: nothing follows
  std::vector<std::uint8_t> truncated;   // [B, T] it was cut off: what follows still has a value
  std::vector<float> behaviour;          // [B, T] log-probability of the action when it was chosen
  std::vector<std::int64_t> groups;      // [B] rows with the same number began alike

  // What was observed after the places whose successor is not in the row: where an episode was cut
  // off, and the ends of rows.
  std::vector<std::int64_t> open_places;    // [F] b T + t, rising
  std::vector<float> open_observations;     // [F, O]
  std::vector<std::int32_t> open_states;    // [F] discrete observations
  std::vector<std::int32_t> open_actions;   // [F] chosen there already (ActingRule::look_ahead)
  std::vector<std::int64_t> replay_places;  // [B] where the row lies in the replay memory
  std::vector<float> replay_weights;        // [B] importance of the draw; empty: all 1

  // Made by Objective::prepare, off the tape. Doubles: a ratio of probabilities begins at exactly 1
  // in every precision.
  std::vector<double> log_probabilities;  // [B, T] of the actions under the policy that acted
  std::vector<double> reference;          // [B, T] the same under the reference model
  std::vector<double> values;             // [B, T] of the observations
  std::vector<double> advantages;         // [B, T]
  std::vector<float> returns;             // [B, T] what values are drawn towards
};

// What was written in one row of a collection of texts, for people to read.
struct Written {
  std::string prompt;
  std::string text;
  double score = 0;
};

// B rows of T places; N = B T. Every array is row-major and filled by the feed.
struct Batch {
  std::int64_t rows = 0;    // B
  std::int64_t length = 0;  // T

  std::vector<std::int32_t> tokens;     // [B, T] ids; padding holds 0
  std::vector<std::int32_t> targets;    // [B, T] the next token; -1 where none is asked for
  std::vector<float> weights;           // [B, T] of each target's loss; 0 beside -1
  std::vector<std::int32_t> positions;  // [B, T] place within the piece; restarts at each seam
  // [B, T] number of the piece within its row, -1 padding; only equal numbers attend to each
  // other. Empty when every row is one whole piece.
  std::vector<std::int32_t> segments;
  std::vector<std::int64_t> examples;  // [B] index of the row's first example, or -1
  // [B, T] weight of each token itself, for losses that see both sides of it; 0 on padding. Empty
  // where the feed knows nothing of it.
  std::vector<float> token_weights;
  // Number of row 0 through the run (of training) or the pass (of evaluation). What is drawn for
  // row b is keyed by first_row + b, so that no cut into batches changes it.
  std::int64_t first_row = 0;

  Experience experience;         // of feeds that act
  std::vector<Metric> metrics;   // of feeds that act: returns, lengths, scores
  std::vector<Written> written;  // [B] of feeds that write texts
  bool prepared = false;         // Objective::prepare has seen what these rows were taken from
  std::int64_t collection = 0;   // number of what these rows were taken from; 0: none is kept
  bool first = false;            // of its collection: nothing has been learnt from that yet
};

}  // namespace lathe
