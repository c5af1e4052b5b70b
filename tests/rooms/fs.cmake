# The filesystem with a resolver that needs nobody; not installed.
add_executable(sealedfs_fake it/fake_resolver.c)
target_link_libraries(sealedfs_fake PRIVATE fs_main fs)
set_target_properties(sealedfs_fake PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
sealed_it(fs_tools)
sealed_it(fs_change)
sealed_it(fs_park)
sealed_it(fs_crash)
