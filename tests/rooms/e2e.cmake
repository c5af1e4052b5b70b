sealed_it(e2e_read)
sealed_it(e2e_policy)
sealed_it(e2e_faults 240)
sealed_it(e2e_many)
