# The filesystem with a resolver that needs nobody; not installed.
add_executable(sealedfs_fake it/fake_resolver.c)
target_link_libraries(sealedfs_fake PRIVATE fs_main fs)
set_target_properties(sealedfs_fake PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
sealed_it(fs_tools)
sealed_it(fs_change)
sealed_it(fs_park)
sealed_it(fs_crash)

# Figures, run by tests/bench/run.sh: a warm open here beside one of the least that libfuse can do.
if(NOT SEALED_SANITIZE AND NOT SEALED_FUZZ)
  add_executable(bench_open bench/bench_open.c)
  add_executable(bare_fuse bench/bare_fuse.c)
  target_link_libraries(bench_open PRIVATE sealed_flags)
  target_link_libraries(bare_fuse PRIVATE sealed_flags PkgConfig::fuse3)
  set_target_properties(bench_open bare_fuse PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()
