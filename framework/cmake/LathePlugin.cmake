# A plugin's manual is the comment that its file (of several: NAME.cpp, else the first) begins with.
# It goes into a section of the library of its own, where `lathe inspect` reads it. The hash of the
# headers goes into another, by the same small source file: it alone is compiled again when any
# header changes.
function(lathe_notes_of name target)
  set(source ${ARGV2})
  foreach(candidate IN LISTS ARGN)
    get_filename_component(stem ${candidate} NAME_WE)
    if(stem STREQUAL name)
      set(source ${candidate})
    endif()
  endforeach()
  get_filename_component(source ${source} ABSOLUTE)
  set(notes ${CMAKE_CURRENT_BINARY_DIR}/${target}_notes)
  file(CONFIGURE OUTPUT ${notes}.cpp @ONLY CONTENT
"#include <lathe/plugin/header_hash.h>
asm(\".pushsection .lathe.headers\\n.asciz \\\"\" LATHE_HEADER_HASH \"\\\"\\n.popsection\");
asm(\".pushsection .lathe.manual\\n.incbin \\\"@notes@.txt\\\"\\n.popsection\");
")
  add_custom_command(OUTPUT ${notes}.txt DEPENDS ${source} VERBATIM
    COMMAND sed -e "/^[/][/]/!Q" -e "s,^// ,," -e "s,^//$,," ${source} > ${notes}.txt)
  set_source_files_properties(${notes}.cpp PROPERTIES OBJECT_DEPENDS ${notes}.txt)
  set(notes ${notes} PARENT_SCOPE)
endfunction()

# lathe_add_plugin(NAME SOURCES a.cpp ... [LINK targets ...] [OUTPUT folder] [NO_SIDECAR])
#
# One plugin: a shared library that is loaded by name. It exports its descriptor and nothing else,
# so that two plugins can never see each other's symbols, and it must find all its own symbols when
# it is linked, not at hour six. This file serves Lathe's own tree and find_package(Lathe) alike.
# A plugin that is built into another folder is not installed.
#
# After linking, the program asks the plugin what it declares and writes that beside it
# (NAME.lathe.json), so that nobody needs to load it to know.
function(lathe_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 plugin "NO_SIDECAR" "OUTPUT" "SOURCES;LINK")
  if(NOT plugin_SOURCES)
    message(FATAL_ERROR "lathe_add_plugin(${name}): no SOURCES were given")
  endif()
  if(NOT plugin_OUTPUT)
    set(plugin_OUTPUT ${LATHE_PLUGIN_OUTPUT})
  endif()
  set(target plugin_${name})
  lathe_notes_of(${name} ${target} ${plugin_SOURCES})
  add_library(${target} MODULE ${plugin_SOURCES} ${notes}.cpp)
  # The same path to liblathe.so in build and prefix, so that installing changes no byte.
  set_target_properties(${target} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${plugin_OUTPUT} CXX_EXTENSIONS OFF
    BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN/../..")
  target_link_libraries(${target} PRIVATE lathe_options lathe ${plugin_LINK})
  if(TARGET lathe_warnings)
    target_link_libraries(${target} PRIVATE lathe_warnings)
  endif()
  target_link_options(${target} PRIVATE
    -Wl,-z,defs -Wl,--version-script=${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map)
  set_property(GLOBAL APPEND PROPERTY LATHE_PLUGIN_TARGETS ${target})
  set(sidecar ${plugin_OUTPUT}/${name}.lathe.json)
  if(NOT plugin_NO_SIDECAR)
    add_custom_command(TARGET ${target} POST_BUILD VERBATIM BYPRODUCTS ${sidecar}
      COMMAND lathe_program sidecar --quiet $<TARGET_FILE:${target}>)
  endif()
  if(plugin_OUTPUT STREQUAL LATHE_PLUGIN_OUTPUT)
    install(TARGETS ${target} LIBRARY DESTINATION lib/lathe/plugins)
    install(FILES ${sidecar} DESTINATION lib/lathe/plugins)
  endif()
endfunction()
