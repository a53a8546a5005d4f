/*
 * A C ABI over libtorch: tensors, every registered operator by name, autograd, Adam.
 *
 * Rules
 *  - Every call that can fail returns a pt_status; results come back through the out-parameters, which are untouched
 *    when the call fails. No exception ever crosses this border.
 *  - pt_last_error() holds the message of the calling thread's last failure until its next failure.
 *  - A handle given out belongs to the caller and is freed once, by the function that its type names. pt_live_handles()
 *    counts those not freed yet.
 *  - Grad mode and the last error belong to a thread. Use one long-lived thread per engine: each thread that runs
 *    operators also gets a pool of OpenMP threads of its own.
 *  - dtype and device numbers are those of c10::ScalarType and c10::DeviceType, which have not changed since 1.0.
 */
#pragma once

#include <stdint.h>

#define PT_API __attribute__((visibility("default")))
#define PT_ABI_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t pt_status;
enum {
    PT_OK = 0,
    PT_ERROR = 1,           /* any c10::Error without a kind of its own: shapes that do not fit, for example */
    PT_OUT_OF_MEMORY = 2,
    PT_INDEX = 3,
    PT_VALUE = 4,
    PT_TYPE = 5,
    PT_NOT_IMPLEMENTED = 6,
    PT_STD_EXCEPTION = 7,
    PT_UNKNOWN = 8
};

typedef struct pt_tensor_box* pt_tensor;     /* at::Tensor, freed by pt_tensor_free */
typedef struct pt_value_box* pt_value;       /* c10::IValue that is neither tensor nor number, freed by pt_value_free */
typedef struct pt_operator_box* pt_operator; /* lives as long as the process */

/* ---- the library and its threads ---- */
PT_API int32_t pt_abi_version(void);
PT_API const char* pt_torch_version(void);
PT_API const char* pt_last_error(void);
PT_API int64_t pt_live_handles(void);

/* Once per process, before anything else. Makes errors cheap: without it libtorch symbolizes a C++ backtrace for each. */
PT_API pt_status pt_initialize(void);

/* Threads inside one operator, in OpenMP and in the BLAS. A setting of the process: the last call counts. */
PT_API pt_status pt_set_num_threads(int32_t threads);
PT_API pt_status pt_get_num_threads(int32_t* threads);
PT_API pt_status pt_manual_seed(int64_t seed);

/* Refuse operators that have no deterministic implementation. */
PT_API pt_status pt_set_deterministic(int32_t on);
PT_API pt_status pt_cuda_device_count(int32_t* count);

/* Waits for all work queued on the device; returns at once for the CPU. */
PT_API pt_status pt_synchronize(int32_t device_type, int32_t device_index);

/* ---- tensors ---- */

/* Copies shape[0] * ... * shape[dimensions - 1] elements of dtype from host memory. */
PT_API pt_status pt_tensor_from_host(const void* data, int32_t dtype, const int64_t* shape, int32_t dimensions,
    int32_t device_type, int32_t device_index, pt_tensor* out);
PT_API void pt_tensor_free(pt_tensor tensor);

/* Writes at most shape_capacity sizes; *dimensions tells how many there are. */
PT_API pt_status pt_tensor_info(pt_tensor tensor, int32_t* dtype, int32_t* device_type, int32_t* device_index,
    int32_t* requires_grad, int64_t* shape, int32_t shape_capacity, int32_t* dimensions);

/* A tensor on that device of that dtype; the same memory where nothing changes. */
PT_API pt_status pt_tensor_to(pt_tensor tensor, int32_t device_type, int32_t device_index, int32_t dtype, pt_tensor* out);

/* Converts to dtype and copies in row-major order; bytes must be the exact size. */
PT_API pt_status pt_tensor_to_host(pt_tensor tensor, int32_t dtype, void* destination, int64_t bytes);

/* The value of a tensor of one element. */
PT_API pt_status pt_tensor_item(pt_tensor tensor, double* value);

/* ---- autograd ---- */
PT_API pt_status pt_set_grad_enabled(int32_t enabled, int32_t* previous);
PT_API pt_status pt_tensor_set_requires_grad(pt_tensor tensor, int32_t on);
PT_API pt_status pt_tensor_grad(pt_tensor tensor, pt_tensor* out); /* *out is null where there is none */
PT_API pt_status pt_tensor_detach(pt_tensor tensor, pt_tensor* out);
PT_API pt_status pt_backward(pt_tensor scalar);
PT_API pt_status pt_zero_grad(const pt_tensor* parameters, int32_t count); /* sets gradients to none */

/* ---- operators that every training step calls ---- */
PT_API pt_status pt_linear(pt_tensor input, pt_tensor weight, pt_tensor bias_or_null, pt_tensor* out);
PT_API pt_status pt_relu(pt_tensor input, pt_tensor* out);
PT_API pt_status pt_cross_entropy(pt_tensor logits, pt_tensor targets, pt_tensor* out); /* mean over the batch */
PT_API pt_status pt_index_select(pt_tensor input, int64_t dimension, pt_tensor index, pt_tensor* out);
PT_API pt_status pt_narrow(pt_tensor input, int64_t dimension, int64_t start, int64_t length, pt_tensor* out);

/* ---- any other operator, through the dispatcher ---- */
enum {
    PT_ARG_NONE = 0,
    PT_ARG_TENSOR = 1,      /* pointer */
    PT_ARG_INT = 2,         /* integer */
    PT_ARG_DOUBLE = 3,      /* number */
    PT_ARG_BOOL = 4,        /* integer */
    PT_ARG_INT_LIST = 5,    /* pointer to int64_t[count] */
    PT_ARG_DOUBLE_LIST = 6, /* pointer to double[count] */
    PT_ARG_TENSOR_LIST = 7, /* pointer to pt_tensor[count] */
    PT_ARG_STRING = 8,      /* pointer to UTF-8 of count bytes */
    PT_ARG_DEVICE = 9,      /* integer: device type; count: index */
    PT_ARG_DEFAULT = 10,    /* the schema's default */
    PT_ARG_VALUE = 11       /* pointer: pt_value */
};

typedef struct pt_arg {
    int32_t tag;
    int32_t count;
    int64_t integer;
    double number;
    void* pointer;
} pt_arg;

PT_API pt_status pt_op_find(const char* name, const char* overload, pt_operator* out);

/* The schema as text, cut to capacity - 1 bytes; *length is the whole length. */
PT_API pt_status pt_op_schema(pt_operator op, char* text, int64_t capacity, int64_t* length);

/* Arguments that are not given take the schema's defaults. Tensors and values in results are handles of the caller. */
PT_API pt_status pt_op_call(pt_operator op, const pt_arg* arguments, int32_t argument_count,
    pt_arg* results, int32_t result_capacity, int32_t* result_count);
PT_API void pt_value_free(pt_value value);

/* ---- optimizer ---- */

/*
 * One Adam step (Kingma and Ba, 2015, algorithm 1, with bias correction) over all parameters that have a gradient:
 *   g += weight_decay * p;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
 *   p -= rate * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + epsilon)
 * m and v are the caller's tensors, so that they can be saved and restored. step counts from 1.
 */
PT_API pt_status pt_adam_step(const pt_tensor* parameters, const pt_tensor* m, const pt_tensor* v, int32_t count,
    int64_t step, double rate, double beta1, double beta2, double epsilon, double weight_decay);

#ifdef __cplusplus
}
#endif
