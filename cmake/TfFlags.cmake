# Compiler flags: strict warnings everywhere, hardened release, sanitizers on demand.
add_library(tf_flags INTERFACE)

target_compile_options(tf_flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wformat=2 -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wnull-dereference -Wimplicit-fallthrough
  -fno-common -fno-omit-frame-pointer)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # gcc cannot see that a function which returned TF_OK has filled its result; clang's analysis and the sanitizers can.
  target_compile_options(tf_flags INTERFACE -Wno-maybe-uninitialized)
endif()
if(TF_WERROR)
  target_compile_options(tf_flags INTERFACE -Werror)
endif()
target_compile_definitions(tf_flags INTERFACE _GNU_SOURCE TF_VERSION="${PROJECT_VERSION}")
target_include_directories(tf_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_link_libraries(tf_flags INTERFACE pthread)

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_options(-fPIE)
add_link_options(-pie)

if(TF_ASAN)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
  add_compile_definitions(TF_SANITIZED=1)
elseif(TF_TSAN)
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
  add_compile_definitions(TF_SANITIZED=1)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
endif()

if(TF_CHAOS)
  add_compile_definitions(TF_CHAOS=1)
endif()
