# A plugin's manual is the comment that its file (of several: NAME.cpp, else the first) begins with.
# It goes into a section of the library of its own, where `lathe inspect` reads it.
function(lathe_manual_of name target)
  set(source ${ARGV2})
  foreach(candidate IN LISTS ARGN)
    get_filename_component(stem ${candidate} NAME_WE)
    if(stem STREQUAL name)
      set(source ${candidate})
    endif()
  endforeach()
  get_filename_component(source ${source} ABSOLUTE)
  set(manual ${CMAKE_CURRENT_BINARY_DIR}/${target}_manual)
  file(CONFIGURE OUTPUT ${manual}.cpp @ONLY CONTENT
       "asm(\".pushsection .lathe.manual\\n.incbin \\\"@manual@.txt\\\"\\n.popsection\");\n")
  add_custom_command(OUTPUT ${manual}.txt DEPENDS ${source} VERBATIM
    COMMAND sed -e "/^[/][/]/!Q" -e "s,^// ,," -e "s,^//$,," ${source} > ${manual}.txt)
  set_source_files_properties(${manual}.cpp PROPERTIES OBJECT_DEPENDS ${manual}.txt)
  set(manual ${manual} PARENT_SCOPE)
endfunction()

# lathe_add_plugin(NAME SOURCES a.cpp ... [LINK targets ...] [OUTPUT folder])
#
# One plugin: a shared library that is loaded by name. It exports its descriptor and nothing else,
# so that two plugins can never see each other's symbols, and it must find all its own symbols when
# it is linked, not at hour six.
function(lathe_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 plugin "" "OUTPUT" "SOURCES;LINK")
  if(NOT plugin_SOURCES)
    message(FATAL_ERROR "lathe_add_plugin(${name}): no SOURCES were given")
  endif()
  if(NOT plugin_OUTPUT)
    set(plugin_OUTPUT ${LATHE_PLUGIN_OUTPUT})
  endif()
  set(target plugin_${name})
  lathe_manual_of(${name} ${target} ${plugin_SOURCES})
  add_library(${target} MODULE ${plugin_SOURCES} ${manual}.cpp)
  set_target_properties(${target} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${plugin_OUTPUT})
  target_link_libraries(${target} PRIVATE lathe_options lathe_warnings lathe ${plugin_LINK})
  target_link_options(${target} PRIVATE
    -Wl,-z,defs -Wl,--version-script=${CMAKE_SOURCE_DIR}/framework/cmake/plugin.map)
  set_property(GLOBAL APPEND PROPERTY LATHE_PLUGIN_TARGETS ${target})
  install(TARGETS ${target} LIBRARY DESTINATION lib/lathe/plugins)
endfunction()
