sealed_unit(appraisal attest_verify)
sealed_unit(ear attest_verify)
sealed_unit(tpm_evidence attest_verify)
sealed_unit(verify attest_verify)
sealed_fuzz(ear attest_verify)
sealed_fuzz(evidence attest_verify)
sealed_fuzz(tpm_public attest_verify)

# Figures, not a test: tests/bench/run.sh runs it.
add_executable(bench_verify bench/bench_verify.c)
target_link_libraries(bench_verify PRIVATE attest_verify)
set_target_properties(bench_verify PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
