sealed_it(e2e_read)
sealed_it(e2e_policy)
sealed_it(e2e_faults)
sealed_it(e2e_many)
sealed_it(peer_kbs)

# Figures, run by tests/bench/run.sh: the parts of a first read, each alone.
if(NOT SEALED_SANITIZE AND NOT SEALED_FUZZ)
  add_executable(bench_wire bench/bench_wire.c)
  target_link_libraries(bench_wire PRIVATE kbs attest)
  set_target_properties(bench_wire PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()
sealed_it(cli_exec)
sealed_it(cli_doctor)
