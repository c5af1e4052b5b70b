sealed_unit(hash crypt)
sealed_unit(aead crypt)
sealed_unit(jwk crypt)
sealed_unit(jws crypt)
sealed_unit(jwe crypt)
sealed_unit(provider crypt)
sealed_unit(sealed crypt)

sealed_fuzz(jwk crypt)
sealed_fuzz(jws crypt)
sealed_fuzz(jwe crypt)
sealed_fuzz(sealed crypt)

sealed_probe(jose_probe crypt)
sealed_it(jose)
sealed_it(jwcrypto)

# Figures, run by hand and by tests/bench/run.sh.
if(NOT SEALED_FUZZ)
  add_executable(bench_crypt bench/bench_crypt.c)
  target_link_libraries(bench_crypt PRIVATE crypt)
  set_target_properties(bench_crypt PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()
