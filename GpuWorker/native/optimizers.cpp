#include "bridge.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

using namespace platform;

pt_status pt_adam_step(const pt_tensor* parameters, const pt_tensor* m, const pt_tensor* v, int32_t count,
    int64_t step, double rate, double beta1, double beta2, double epsilon, double weight_decay) {
    return guarded([=] {
        TORCH_CHECK_VALUE(step >= 1, "step counts from 1, but is ", step);
        at::NoGradGuard no_grad;

        std::vector<at::Tensor> values, gradients, means, squares;
        for (int32_t i = 0; i < count; i++) {
            auto& parameter = tensor(parameters[i]);
            if (!parameter.grad().defined())
                continue;
            values.push_back(parameter);
            gradients.push_back(parameter.grad());
            means.push_back(tensor(m[i]));
            squares.push_back(tensor(v[i]));
        }
        if (values.empty())
            return;

        if (weight_decay != 0)
            gradients = at::_foreach_add(gradients, at::_foreach_mul(values, weight_decay));

        // The foreach operators are a handful of dispatches for the whole list, and one kernel launch each on CUDA.
        at::_foreach_mul_(means, beta1);
        at::_foreach_add_(means, at::_foreach_mul(gradients, 1 - beta1));
        at::_foreach_mul_(squares, beta2);
        at::_foreach_addcmul_(squares, gradients, gradients, 1 - beta2);

        auto correction1 = 1 - std::pow(beta1, static_cast<double>(step));
        auto correction2 = 1 - std::pow(beta2, static_cast<double>(step));
        auto denominators = at::_foreach_sqrt(squares);
        at::_foreach_div_(denominators, std::sqrt(correction2));
        at::_foreach_add_(denominators, epsilon);
        at::_foreach_addcdiv_(values, means, denominators, -rate / correction1);
    });
}
