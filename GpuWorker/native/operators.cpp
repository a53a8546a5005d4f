#include "bridge.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>

#include <sstream>

using namespace platform;

pt_status pt_linear(pt_tensor input, pt_tensor weight, pt_tensor bias_or_null, pt_tensor* out) {
    return guarded([=] { *out = box(at::linear(tensor(input), tensor(weight), optional_tensor(bias_or_null))); });
}

pt_status pt_relu(pt_tensor input, pt_tensor* out) {
    return guarded([=] { *out = box(at::relu(tensor(input))); });
}

pt_status pt_cross_entropy(pt_tensor logits, pt_tensor targets, pt_tensor* out) {
    return guarded([=] { *out = box(at::cross_entropy_loss(tensor(logits), tensor(targets))); });
}

pt_status pt_index_select(pt_tensor input, int64_t dimension, pt_tensor index, pt_tensor* out) {
    return guarded([=] { *out = box(at::index_select(tensor(input), dimension, tensor(index))); });
}

pt_status pt_narrow(pt_tensor input, int64_t dimension, int64_t start, int64_t length, pt_tensor* out) {
    return guarded([=] { *out = box(tensor(input).narrow(dimension, start, length)); });
}

namespace {

c10::OperatorHandle& handle(pt_operator op) {
    TORCH_CHECK_VALUE(op != nullptr, "an operator handle is null");
    return *reinterpret_cast<c10::OperatorHandle*>(op);
}

c10::IValue default_of(const c10::Argument& declared) {
    TORCH_CHECK_VALUE(declared.default_value().has_value(), "argument ", declared.name(), " is missing and has no default");
    return *declared.default_value();
}

c10::IValue to_value(const pt_arg& given, const c10::Argument& declared) {
    switch (given.tag) {
        case PT_ARG_NONE:
            return c10::IValue();
        case PT_ARG_TENSOR:
            return c10::IValue(tensor(reinterpret_cast<pt_tensor>(given.pointer)));
        case PT_ARG_INT:
            return c10::IValue(given.integer);
        case PT_ARG_DOUBLE:
            return c10::IValue(given.number);
        case PT_ARG_BOOL:
            return c10::IValue(given.integer != 0);
        case PT_ARG_INT_LIST:
            return c10::IValue(at::IntArrayRef(static_cast<const int64_t*>(given.pointer), given.count));
        case PT_ARG_DOUBLE_LIST:
            return c10::IValue(at::ArrayRef<double>(static_cast<const double*>(given.pointer), given.count));
        case PT_ARG_TENSOR_LIST: {
            auto* boxes = static_cast<const pt_tensor*>(given.pointer);
            c10::List<at::Tensor> list;
            list.reserve(given.count);
            for (int32_t i = 0; i < given.count; i++)
                list.push_back(tensor(boxes[i]));
            return c10::IValue(std::move(list));
        }
        case PT_ARG_STRING:
            return c10::IValue(std::string(static_cast<const char*>(given.pointer), given.count));
        case PT_ARG_DEVICE:
            return c10::IValue(at::Device(static_cast<at::DeviceType>(given.integer), static_cast<int8_t>(given.count)));
        case PT_ARG_DEFAULT:
            return default_of(declared);
        case PT_ARG_VALUE:
            return *static_cast<const c10::IValue*>(given.pointer);
        default:
            TORCH_CHECK_VALUE(false, "argument ", declared.name(), " has the unknown tag ", given.tag);
    }
}

pt_arg to_result(const c10::IValue& value) {
    pt_arg result{};
    if (value.isTensor()) {
        auto& returned = value.toTensor();
        result.tag = returned.defined() ? PT_ARG_TENSOR : PT_ARG_NONE;
        result.pointer = returned.defined() ? box(returned) : nullptr;
    } else if (value.isInt()) {
        result.tag = PT_ARG_INT;
        result.integer = value.toInt();
    } else if (value.isDouble()) {
        result.tag = PT_ARG_DOUBLE;
        result.number = value.toDouble();
    } else if (value.isBool()) {
        result.tag = PT_ARG_BOOL;
        result.integer = value.toBool();
    } else if (value.isNone()) {
        result.tag = PT_ARG_NONE;
    } else {
        result.tag = PT_ARG_VALUE;
        result.pointer = new c10::IValue(value);
        live_handles.fetch_add(1, std::memory_order_relaxed);
    }
    return result;
}

} // namespace

pt_status pt_op_find(const char* name, const char* overload, pt_operator* out) {
    return guarded([=] {
        auto found = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
        *out = reinterpret_cast<pt_operator>(new c10::OperatorHandle(found)); // callers cache it for the process
    });
}

pt_status pt_op_schema(pt_operator op, char* text, int64_t capacity, int64_t* length) {
    return guarded([=] {
        std::ostringstream stream;
        stream << handle(op).schema();
        auto schema = stream.str();
        *length = static_cast<int64_t>(schema.size());
        if (capacity <= 0)
            return;
        auto copied = std::min<int64_t>(capacity - 1, *length);
        std::memcpy(text, schema.data(), copied);
        text[copied] = '\0';
    });
}

pt_status pt_op_call(pt_operator op, const pt_arg* arguments, int32_t argument_count,
    pt_arg* results, int32_t result_capacity, int32_t* result_count) {
    return guarded([=] {
        auto& operation = handle(op);
        auto& declared = operation.schema().arguments();
        auto returns = operation.schema().returns().size();
        TORCH_CHECK_VALUE(argument_count <= static_cast<int32_t>(declared.size()),
            operation.schema().name(), " takes ", declared.size(), " arguments, not ", argument_count);
        TORCH_CHECK_VALUE(static_cast<int32_t>(returns) <= result_capacity,
            operation.schema().name(), " returns ", returns, " values, but there is room for ", result_capacity);

        torch::jit::Stack stack;
        stack.reserve(std::max(declared.size(), returns));
        for (size_t i = 0; i < declared.size(); i++)
            stack.push_back(static_cast<int32_t>(i) < argument_count ? to_value(arguments[i], declared[i]) : default_of(declared[i]));
        operation.callBoxed(&stack);

        *result_count = static_cast<int32_t>(stack.size());
        for (size_t i = 0; i < stack.size(); i++)
            results[i] = to_result(stack[i]);
    });
}

void pt_value_free(pt_value value) {
    if (value == nullptr)
        return;
    delete reinterpret_cast<c10::IValue*>(value);
    live_handles.fetch_sub(1, std::memory_order_relaxed);
}
