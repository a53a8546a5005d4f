// What the sources of the bridge share: boxes for handles and the one place where exceptions become statuses.
#pragma once

#include "platform_torch.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <torch/version.h>

#include <atomic>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace platform {

extern thread_local std::string last_error;
extern std::atomic<int64_t> live_handles;

inline at::Tensor& tensor(pt_tensor box) {
    TORCH_CHECK_VALUE(box != nullptr, "a tensor handle is null");
    return *reinterpret_cast<at::Tensor*>(box);
}

inline pt_tensor box(at::Tensor value) {
    auto* boxed = new at::Tensor(std::move(value));
    live_handles.fetch_add(1, std::memory_order_relaxed);
    return reinterpret_cast<pt_tensor>(boxed);
}

// 1.13 has an optional of its own; from 2.4 on it is the standard one, and its old name goes away.
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
using optional_of_tensor = std::optional<at::Tensor>;
#else
using optional_of_tensor = c10::optional<at::Tensor>;
#endif

inline optional_of_tensor optional_tensor(pt_tensor box) {
    return box == nullptr ? optional_of_tensor() : optional_of_tensor(tensor(box));
}

inline pt_status fail(pt_status status, const char* message) noexcept {
    try {
        last_error = message;
    } catch (...) {
        last_error.clear(); // no memory left even for the message
    }
    return status;
}

// The CPU allocator reports exhaustion as a plain c10::Error; only the text tells.
inline bool is_cpu_out_of_memory(const char* message) noexcept {
    return std::strstr(message, "DefaultCPUAllocator") != nullptr
        && (std::strstr(message, "can't allocate memory") != nullptr || std::strstr(message, "not enough memory") != nullptr);
}

// Runs the body of one exported function. The ladder ends in catch (...), because an exception that unwinds into the
// CLR ends the process.
template <class Body>
pt_status guarded(Body&& body) noexcept {
    try {
        body();
        return PT_OK;
    } catch (const c10::OutOfMemoryError& error) {
        return fail(PT_OUT_OF_MEMORY, error.what_without_backtrace());
    } catch (const c10::IndexError& error) {
        return fail(PT_INDEX, error.what_without_backtrace());
    } catch (const c10::ValueError& error) {
        return fail(PT_VALUE, error.what_without_backtrace());
    } catch (const c10::TypeError& error) {
        return fail(PT_TYPE, error.what_without_backtrace());
    } catch (const c10::NotImplementedError& error) {
        return fail(PT_NOT_IMPLEMENTED, error.what_without_backtrace());
    } catch (const c10::Error& error) {
        auto* message = error.what_without_backtrace();
        return fail(is_cpu_out_of_memory(message) ? PT_OUT_OF_MEMORY : PT_ERROR, message);
    } catch (const std::bad_alloc& error) {
        return fail(PT_OUT_OF_MEMORY, error.what());
    } catch (const std::exception& error) {
        return fail(PT_STD_EXCEPTION, error.what());
    } catch (...) {
        return fail(PT_UNKNOWN, "an exception of an unknown type");
    }
}

} // namespace platform
