// What `lathe conform` and `lathe test` share: how they are asked, and how they tell.
#pragma once

#include <lathe/conform/conform.h>
#include <lathe/host/verb.h>

#include <vector>

namespace lathe {

void declare_conforming(boost::program_options::options_description& options);
conform::Request conforming_request(const Arguments& arguments);

// Prints a result while the tests go on, unless JSON is asked for.
void print_result(const Arguments& arguments, const conform::Result& result);
// The last lines, JSON, JUnit. Gives the exit code.
int finish_reports(const Arguments& arguments, const std::vector<conform::Report>& reports);

}  // namespace lathe
