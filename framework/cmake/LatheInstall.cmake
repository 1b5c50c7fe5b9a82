# What makes Lathe usable outside of its tree: how it was compiled (for `lathe build`), templates
# inside the program (for `lathe new`), headers, and the CMake package. The build folder looks like
# an installed prefix, and everything in a prefix is found relative to liblathe.so.

# ---- lib/lathe/recipe.json: a plugin is compiled as Lathe itself was. Paths start at its folder.
function(lathe_json_list variable)
  list(TRANSFORM ARGN REPLACE "[\"\\\\]" "\\\\\\0")
  list(TRANSFORM ARGN PREPEND "\"")
  list(TRANSFORM ARGN APPEND "\"")
  list(JOIN ARGN ", " text)
  set(${variable} "[${text}]" PARENT_SCOPE)
endfunction()

string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
separate_arguments(flags NATIVE_COMMAND "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${build_type}}")
get_target_property(options lathe_options INTERFACE_COMPILE_OPTIONS)
get_target_property(definitions lathe_options INTERFACE_COMPILE_DEFINITIONS)
get_target_property(link_options lathe_options INTERFACE_LINK_OPTIONS)
list(TRANSFORM definitions PREPEND "-D" OUTPUT_VARIABLE definition_flags)
lathe_json_list(recipe_compile ${flags} -std=c++20 -fPIC -Wall -Wextra ${options} ${definition_flags})
lathe_json_list(recipe_link ${link_options} -Wl,-z,defs)

function(lathe_recipe file include exports)
  file(CONFIGURE OUTPUT ${file} @ONLY CONTENT [[
{
  "compiler": "@CMAKE_CXX_COMPILER@",
  "compile": @recipe_compile@,
  "link": @recipe_link@,
  "include": ["@include@"],
  "exports": "@exports@"
}
]])
endfunction()
lathe_recipe(${CMAKE_BINARY_DIR}/lib/lathe/recipe.json
  ${LATHE_INCLUDE} ${CMAKE_CURRENT_LIST_DIR}/plugin.map)
lathe_recipe(${CMAKE_BINARY_DIR}/installed/recipe.json
  ../../include ../cmake/Lathe/plugin.map)
install(FILES ${CMAKE_BINARY_DIR}/installed/recipe.json DESTINATION lib/lathe)

# ---- The templates of `lathe new`.
file(GLOB templates CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/framework/host/templates/*.in)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${templates})
set(entries "")
foreach(template IN LISTS templates)
  get_filename_component(name ${template} NAME)
  string(REGEX REPLACE "\\.in$" "" name ${name})
  file(READ ${template} text)
  string(APPEND entries "    {\"${name}\", R\"template(${text})template\"},\n")
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/templates.cpp.new
"#include <lathe/host/templates.h>

namespace lathe {
namespace {
const Template all[] = {
${entries}};
}
std::span<const Template> templates() { return all; }
}  // namespace lathe
")
configure_file(${CMAKE_BINARY_DIR}/templates.cpp.new ${CMAKE_BINARY_DIR}/templates.cpp COPYONLY)
target_sources(lathe_program PRIVATE ${CMAKE_BINARY_DIR}/templates.cpp)
set_target_properties(lathe_program PROPERTIES
  BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN/../lib")

# ---- Headers and the package.
foreach(room base config plugin tensor nn text data learn io run study conform)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/framework/${room} DESTINATION include/lathe
          FILES_MATCHING PATTERN "*.h")
endforeach()
install(DIRECTORY ${CMAKE_BINARY_DIR}/include/lathe DESTINATION include)
include(CMakePackageConfigHelpers)
configure_file(${CMAKE_CURRENT_LIST_DIR}/LatheConfig.cmake.in
               ${CMAKE_BINARY_DIR}/installed/LatheConfig.cmake @ONLY)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/installed/LatheConfigVersion.cmake
                                 COMPATIBILITY ExactVersion)
install(FILES ${CMAKE_BINARY_DIR}/installed/LatheConfig.cmake
              ${CMAKE_BINARY_DIR}/installed/LatheConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/LathePlugin.cmake ${CMAKE_CURRENT_LIST_DIR}/plugin.map
        DESTINATION lib/cmake/Lathe)
