sealed_it(e2e_read)
sealed_it(e2e_policy)
sealed_it(e2e_faults)
sealed_it(e2e_many)
sealed_it(e2e_brokers)
sealed_it(peer_kbs)
# Secrets are looked for in every process, with and without memfd_secret(2).
sealed_probe(without sealed_flags PkgConfig::libseccomp)
sealed_it(leak)
# A program that makes another one try forbidden things; it knows the registers of this processor only.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  sealed_probe(inject sealed_flags)
  sealed_it(sandbox)
endif()

# Figures, run by tests/bench/run.sh: the parts of a first read, each alone.
if(NOT SEALED_SANITIZE AND NOT SEALED_FUZZ)
  add_executable(bench_wire bench/bench_wire.c)
  target_link_libraries(bench_wire PRIVATE kbs attest)
  set_target_properties(bench_wire PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()
sealed_it(cli_exec)
sealed_it(cli_doctor)
sealed_it(fs_watch)
