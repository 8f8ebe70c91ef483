# tf_room(NAME SOURCES… [LINK libs…]): a static library for one room, strict flags.
function(tf_room name)
  cmake_parse_arguments(R "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${R_SOURCES})
  target_link_libraries(${name} PUBLIC tf_flags ${R_LINK})
endfunction()

# tf_embed(TARGET symbol FILES…): links the files' bytes into TARGET as a `const struct tf_embedded symbol[]`
# (name, data, size; ended by a NULL name), declared in common/base/embedded.h. Names are the files' base names, in the order given.
function(tf_embed target symbol)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.embedded.c)
  add_custom_command(OUTPUT ${out}
    COMMAND tf-embed ${symbol} ${out} ${ARGN}
    DEPENDS tf-embed ${ARGN} VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()

# tf_service(NAME [LINK libs…]): services/NAME → library NAME_core (all but main.c) and program tf-NAME.
function(tf_service name)
  cmake_parse_arguments(S "" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/main.c)
  tf_room(${name}_core SOURCES ${sources} LINK tf_chassis tf_proto ${S_LINK})
  add_executable(tf-${name} main.c ${TF_SERVER_TABLE_${name}})
  target_include_directories(tf-${name} PRIVATE ${CMAKE_BINARY_DIR}/gen)
  target_link_libraries(tf-${name} PRIVATE ${name}_core)
endfunction()

# tf_unit_test(NAME SOURCES… LINK…): one cmocka program, run by ctest under the label "unit".
function(tf_unit_test name)
  cmake_parse_arguments(U "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${U_SOURCES})
  target_link_libraries(${name} PRIVATE ${U_LINK} tf_flags PkgConfig::CMOCKA)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()
