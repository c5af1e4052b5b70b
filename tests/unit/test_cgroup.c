/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cgroup.h"

#include "tests/unit/unit.h"

#define UID  "0a1b2c3d-1111-2222-3333-444455556666"
#define UID_ "0a1b2c3d_1111_2222_3333_444455556666"
#define ID   "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void test_path(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"0::/system.slice/a.service\n", "/system.slice/a.service"},
        {"0::/\n", "/"},
        {"12:pids:/x/y/z\n1:name=systemd:/s\n0::/u\n", "/u"},
        {"12:pids:/x/y/z\n1:name=systemd:/s\n0::/\n", "/s"},
        {"12:pids:/x/y/z\n2:cpu,cpuacct:/x\n1:name=systemd:/\n0::/\n", "/x/y/z"},
        {"12:pids:/x\n", "/x"},
        {"0::/with:colons:in it\n", "/with:colons:in it"},
        {"0::/cut\n3:cpu:/no newline", "/cut"},
        {"0:/two fields only\n1:a:relative\n5:cpu:/good\n", "/good"},
    };
    struct err err = ERR_INIT;
    char path[CGROUP_PATH_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_done(cgroup_path(bytes_str(cases[i].text), path, &err), &err);
        assert_string_equal(path, cases[i].wanted);
    }
    static const char *const bad[] = {"", "\n", "0::", "0::\n", "nonsense\n", "0::/never ends"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_refused(
            cgroup_path(bytes_str(bad[i]), path, &err), &err, ERR_FORMAT, "no control group");
    assert_refused(cgroup_path(bytes_of("0::/a\0b\n", 8), path, &err), &err, ERR_FORMAT, "no ");
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *path, *pod, *container;
    } cases[] = {
        {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
         ".slice/cri-containerd-" ID ".scope",
            UID, ID},
        {"/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" ID ".scope/container", UID, ID},
        {"/kubepods/besteffort/pod" UID "/" ID, UID, ID},
        {"/kubepods/pod" UID "/" ID, UID, ID},
        {"/kubepods/pod00112233445566778899aabbccddeeff/" ID, "00112233445566778899aabbccddeeff",
            ID},
        {"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
         "kubelet-kubepods-besteffort-pod" UID_ ".slice/cri-containerd-" ID ".scope",
            UID, ID},
        {"/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" ID, UID, ID},
        {"/../../kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice/docker-" ID ".scope",
            UID, ID},
        {"/../../pod" UID "/" ID, UID, ID},
        {"/kubepods/pod" UID, UID, ""},
        {"/kubepods/pod" UID "/sandbox", UID, ""},
        {"/system.slice/docker-" ID ".scope", "", ID},
        {"/docker/" ID "/inner", "", ID},
        {"/machine.slice/libpod-" ID ".scope/container", "", ID},
        /* A name of that kind in a group that is somebody's own. */
        {"/user.slice/user-1000.slice/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" ID ".scope",
            "", ""},
        {"/user.slice/docker-" ID ".scope", "", ""},
        {"/system.slice/x.service/docker-" ID ".scope", "", ""},
        {"/kubepods/pod" UID "/" ID "/kubepods/podaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/x", UID, ID},
        {"/system.slice/kubepods-pod" UID_ ".slice/x", "", ""},
        {"/kubepods/pod0a1b2c3d-1111-2222-3333-44445555666g/" ID, "", ""},
        {"/kubepods/pod0a1b2c3d-1111-2222-3333-4444555566/" ID, "", ""},
        {"/kubepods/pod" UID "x/" ID, "", ""},
        {"/system.slice/docker-f" ID ".scope", "", ""},
        {"/docker/short", "", ""},
        {"/", "", ""},
        {"", "", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cgroup_names names;
        cgroup_names(cases[i].path, &names);
        if (strcmp(names.pod, cases[i].pod) != 0 ||
            strcmp(names.container, cases[i].container) != 0)
            fail_msg("%s: pod '%s', container '%s'", cases[i].path, names.pod, names.container);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
