# Target `docs`: the references that come from the sources, in build/<preset>/docs. Made on demand only (./ticketflow docs).
# Included after all rooms, whose programs it runs.
set(docs ${CMAKE_BINARY_DIR}/docs)
file(MAKE_DIRECTORY ${docs})

add_custom_command(OUTPUT ${docs}/api.md
  COMMAND tf-docgen api ${TF_DESCRIPTOR_SET} ${docs}/api.md
  DEPENDS tf-docgen tf_proto ${TF_DESCRIPTOR_SET} VERBATIM)

add_custom_command(OUTPUT ${docs}/errors.md
  COMMAND tf-docgen errors ${docs}/errors.md
  DEPENDS tf-docgen VERBATIM)

# Each process prints the table of its own settings.
set(processes tf-gateway tf-user tf-program tf-order tf-pay tf-sandbox)
set(tables)
foreach(process IN LISTS processes)
  list(APPEND tables COMMAND ${CMAKE_COMMAND} -E echo "" >> ${docs}/settings.md)
  list(APPEND tables COMMAND ${process} --settings-markdown >> ${docs}/settings.md)
endforeach()
add_custom_command(OUTPUT ${docs}/settings.md
  COMMAND tf-docgen settings ${docs}/settings.md
  ${tables}
  DEPENDS tf-docgen ${processes} VERBATIM)

add_custom_target(docs DEPENDS ${docs}/api.md ${docs}/errors.md ${docs}/settings.md)
