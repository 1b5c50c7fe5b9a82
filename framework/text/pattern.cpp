#include <lathe/base/error.h>
#include <lathe/text/pattern.h>
#include <oniguruma.h>

#include <mutex>

namespace lathe {

namespace {

const OnigUChar* bytes_of(std::string_view text) {
  return reinterpret_cast<const OnigUChar*>(text.data());
}

void start_engine() {
  static std::once_flag once;
  std::call_once(once, [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    onig_initialize(encodings, 1);
  });
}

std::string engine_message(int code, OnigErrorInfo* info) {
  OnigUChar text[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int length = onig_error_code_to_str(text, code, info);
  return std::string(reinterpret_cast<const char*>(text), static_cast<std::size_t>(length));
}

}  // namespace

struct Pattern::Compiled {
  regex_t* regex = nullptr;
  ~Compiled() { onig_free(regex); }
};

Pattern::Pattern(std::string_view expression, std::string_view origin)
    : compiled_(std::make_unique<Compiled>()) {
  start_engine();
  OnigErrorInfo info{};
  const OnigUChar* begin = bytes_of(expression);
  const int code = onig_new(&compiled_->regex, begin, begin + expression.size(), ONIG_OPTION_NONE,
                            ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT, &info);
  if (code != ONIG_NORMAL) {
    compiled_->regex = nullptr;
    fail(origin, ": the pattern '", expression,
         "' is not a regular expression that Oniguruma reads: ", engine_message(code, &info));
  }
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

Match Pattern::search(std::string_view text, std::size_t from) const {
  struct Region : OnigRegion {
    Region() : OnigRegion{} { onig_region_init(this); }
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;
    ~Region() { onig_region_free(this, 0); }
  };
  thread_local Region region;
  const OnigUChar* begin = bytes_of(text);
  const OnigUChar* end = begin + text.size();
  const int at =
      onig_search(compiled_->regex, begin, end, begin + from, end, &region, ONIG_OPTION_NONE);
  if (at == ONIG_MISMATCH) return {};
  if (at < 0) fail("a tokenizer pattern failed while matching: ", engine_message(at, nullptr));
  return {static_cast<std::size_t>(region.beg[0]), static_cast<std::size_t>(region.end[0]), true};
}

}  // namespace lathe
