sealed_fuzz(attest_request attest)
sealed_fuzz(attest_answer attest)
