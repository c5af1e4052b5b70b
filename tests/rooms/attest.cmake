sealed_unit(wire attest)
sealed_fuzz(attest_request attest)
sealed_fuzz(attest_answer attest)
sealed_probe(attest_probe attest)
