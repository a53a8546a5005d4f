#include "bridge.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <dlfcn.h>

namespace platform {

thread_local std::string last_error;
std::atomic<int64_t> live_handles{0};

// Debian's OpenBLAS has a pool of its own that at::set_num_threads does not know. It is looked up rather than linked:
// another BLAS has no such function.
static void set_blas_threads(int32_t threads) {
    using Setter = void (*)(int);
    if (auto setter = reinterpret_cast<Setter>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads")))
        setter(threads);
}

} // namespace platform

using namespace platform;

int32_t pt_abi_version(void) { return PT_ABI_VERSION; }

const char* pt_torch_version(void) { return TORCH_VERSION; }

const char* pt_last_error(void) { return last_error.c_str(); }

int64_t pt_live_handles(void) { return live_handles.load(std::memory_order_relaxed); }

pt_status pt_initialize(void) {
    return guarded([] { c10::SetStackTraceFetcher([] { return std::string(); }); });
}

pt_status pt_set_num_threads(int32_t threads) {
    return guarded([=] {
        TORCH_CHECK_VALUE(threads >= 1, "threads must be at least 1, but is ", threads);
        at::set_num_threads(threads);
        set_blas_threads(threads);
    });
}

pt_status pt_get_num_threads(int32_t* threads) {
    return guarded([=] { *threads = at::get_num_threads(); });
}

pt_status pt_manual_seed(int64_t seed) {
    return guarded([=] { at::manual_seed(static_cast<uint64_t>(seed)); });
}

pt_status pt_set_deterministic(int32_t on) {
    return guarded([=] { at::globalContext().setDeterministicAlgorithms(on != 0, /*warn_only=*/false); });
}

pt_status pt_cuda_device_count(int32_t* count) {
    return guarded([=] { *count = torch::cuda::is_available() ? static_cast<int32_t>(torch::cuda::device_count()) : 0; });
}

pt_status pt_synchronize(int32_t device_type, int32_t device_index) {
    return guarded([=] {
        if (static_cast<c10::DeviceType>(device_type) == c10::DeviceType::CUDA)
            torch::cuda::synchronize(device_index);
    });
}
