#include <lathe/text/added_tokens.h>
#include <lathe/text/category.h>

#include <algorithm>

namespace lathe {

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  for (const bool with_special : {false, true}) {
    for (const bool normalized : {false, true}) {
      passes_[with_special][normalized] = pass_of(tokens_, with_special, normalized);
    }
  }
}

AddedTokens::Pass AddedTokens::pass_of(const std::vector<AddedToken>& tokens, bool with_special,
                                       bool normalized) {
  Pass pass;
  for (const AddedToken& token : tokens) {
    if (token.normalized != normalized || (token.special && !with_special)) continue;
    pass.tokens.push_back(&token);
    pass.begins[static_cast<unsigned char>(token.content[0])] = true;
  }
  std::stable_sort(pass.tokens.begin(), pass.tokens.end(), [](const auto* left, const auto* right) {
    return left->content.size() > right->content.size();
  });
  return pass;
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = std::find_if(tokens_.begin(), tokens_.end(), [&](const AddedToken& token) {
    return token.content == content;
  });
  return found == tokens_.end() ? nullptr : &*found;
}

std::vector<AddedTokens::Part> AddedTokens::cut(std::string_view text, bool with_special) const {
  std::vector<Part> parts;
  if (!text.empty()) parts.push_back({text, -1});
  for (const bool normalized : {false, true}) {
    const Pass& pass = passes_[with_special][normalized];
    if (pass.tokens.empty()) continue;
    std::vector<Part> finer;
    for (const Part& part : parts) {
      if (part.id >= 0) {
        finer.push_back(part);
      } else {
        cut_one(pass, part.text, finer);
      }
    }
    parts = std::move(finer);
  }
  return parts;
}

void AddedTokens::cut_one(const Pass& pass, std::string_view text, std::vector<Part>& parts) {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* hit = nullptr;
    if (pass.begins[static_cast<unsigned char>(text[at])]) {
      const auto found = std::find_if(
          pass.tokens.begin(), pass.tokens.end(),
          [&](const AddedToken* token) { return text.substr(at).starts_with(token->content); });
      if (found != pass.tokens.end()) hit = *found;
    }
    if (hit == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = at + hit->content.size();
    if (hit->strip_left) begin -= space_at_end(text.substr(done, begin - done));
    if (hit->strip_right) end += space_at_begin(text.substr(end));
    if (done < begin) parts.push_back({text.substr(done, begin - done), -1});
    parts.push_back({text.substr(begin, end - begin), hit->id});
    done = end;
    at = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), -1});
}

}  // namespace lathe
