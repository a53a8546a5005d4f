#include "bridge.h"

#include <ATen/core/grad_mode.h>

using namespace platform;

static at::Device device(int32_t type, int32_t index) {
    return at::Device(static_cast<at::DeviceType>(type), static_cast<int8_t>(index));
}

pt_status pt_tensor_from_host(const void* data, int32_t dtype, const int64_t* shape, int32_t dimensions,
    int32_t device_type, int32_t device_index, pt_tensor* out) {
    return guarded([=] {
        auto options = at::TensorOptions().dtype(static_cast<at::ScalarType>(dtype));
        auto view = at::from_blob(const_cast<void*>(data), at::IntArrayRef(shape, dimensions), options);
        auto target = device(device_type, device_index);
        // from_blob does not own the memory, so there is a copy in either case.
        *out = box(target.is_cpu() ? view.clone() : view.to(target));
    });
}

void pt_tensor_free(pt_tensor tensor) {
    if (tensor == nullptr)
        return;
    delete reinterpret_cast<at::Tensor*>(tensor);
    live_handles.fetch_sub(1, std::memory_order_relaxed);
}

pt_status pt_tensor_info(pt_tensor box, int32_t* dtype, int32_t* device_type, int32_t* device_index,
    int32_t* requires_grad, int64_t* shape, int32_t shape_capacity, int32_t* dimensions) {
    return guarded([=] {
        auto& value = tensor(box);
        *dtype = static_cast<int32_t>(value.scalar_type());
        *device_type = static_cast<int32_t>(value.device().type());
        *device_index = value.device().index();
        *requires_grad = value.requires_grad();
        *dimensions = static_cast<int32_t>(value.dim());
        for (int32_t i = 0; i < *dimensions && i < shape_capacity; i++)
            shape[i] = value.size(i);
    });
}

pt_status pt_tensor_to(pt_tensor input, int32_t device_type, int32_t device_index, int32_t dtype, pt_tensor* out) {
    return guarded([=] {
        *out = box(tensor(input).to(device(device_type, device_index), static_cast<at::ScalarType>(dtype)));
    });
}

pt_status pt_tensor_to_host(pt_tensor input, int32_t dtype, void* destination, int64_t bytes) {
    return guarded([=] {
        auto host = tensor(input).detach().to(at::kCPU, static_cast<at::ScalarType>(dtype)).contiguous();
        TORCH_CHECK_VALUE(
            bytes == static_cast<int64_t>(host.nbytes()), "the buffer has ", bytes, " bytes, the tensor ", host.nbytes());
        std::memcpy(destination, host.data_ptr(), host.nbytes());
    });
}

pt_status pt_tensor_item(pt_tensor input, double* value) {
    return guarded([=] { *value = tensor(input).item().toDouble(); });
}

pt_status pt_set_grad_enabled(int32_t enabled, int32_t* previous) {
    return guarded([=] {
        *previous = at::GradMode::is_enabled();
        at::GradMode::set_enabled(enabled != 0);
    });
}

pt_status pt_tensor_set_requires_grad(pt_tensor input, int32_t on) {
    return guarded([=] { tensor(input).requires_grad_(on != 0); });
}

pt_status pt_tensor_grad(pt_tensor input, pt_tensor* out) {
    return guarded([=] {
        auto& gradient = tensor(input).grad();
        *out = gradient.defined() ? box(gradient) : nullptr;
    });
}

pt_status pt_tensor_detach(pt_tensor input, pt_tensor* out) {
    return guarded([=] { *out = box(tensor(input).detach()); });
}

pt_status pt_backward(pt_tensor scalar) {
    return guarded([=] { tensor(scalar).backward(); });
}

pt_status pt_zero_grad(const pt_tensor* parameters, int32_t count) {
    return guarded([=] {
        for (int32_t i = 0; i < count; i++)
            tensor(parameters[i]).mutable_grad() = at::Tensor();
    });
}
