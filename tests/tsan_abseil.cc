// ThreadSanitizer and an Abseil that was built without it: absl::Mutex is shown to the sanitizer from
// outside. Linked into programs of the `tsan` preset, where these definitions stand before the library's.
// gRPC's own locks are absl::Mutex too and are seen the same way.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/synchronization/mutex.h"

#define REIN_STRING(x) #x
#define REIN_NAME(x) REIN_STRING(x)

namespace {

constexpr unsigned kFlags = __tsan_mutex_linker_init;

// The library's definition of a member function; `rest`: its mangled name after the inline namespace.
template <typename Function>
Function Real(const std::string& rest) {
  const std::string space = REIN_NAME(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  const std::string name = "_ZN4absl" + std::to_string(space.size()) + space + rest;
  void* const found = dlsym(RTLD_NEXT, name.c_str());
  if (found == nullptr) {
    std::fprintf(stderr, "no %s in Abseil; adapt tests/tsan_abseil.cc to its version\n", name.c_str());
    std::abort();
  }
  return reinterpret_cast<Function>(found);
}

// Abseil's waits are made of each other: only the outer one counts.
thread_local bool within = false;

// To the sanitizer a wait is an unlock and a lock. In between it looks away: Abseil may evaluate conditions
// of other threads there, while it holds the lock for them.
template <typename Wait>
auto WaitOn(absl::Mutex* mutex, const Wait& wait) {
  if (within) return wait();
  within = true;
  __tsan_mutex_pre_unlock(mutex, 0);
  __tsan_mutex_post_unlock(mutex, 0);
  __tsan_mutex_pre_lock(mutex, kFlags);
  const auto result = wait();
  __tsan_mutex_post_lock(mutex, kFlags, 0);
  within = false;
  return result;
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static const auto real = Real<void (*)(Mutex*)>("5Mutex4LockEv");
  __tsan_mutex_pre_lock(this, kFlags);
  real(this);
  __tsan_mutex_post_lock(this, kFlags, 0);
}

void Mutex::Unlock() {
  static const auto real = Real<void (*)(Mutex*)>("5Mutex6UnlockEv");
  __tsan_mutex_pre_unlock(this, 0);
  real(this);
  __tsan_mutex_post_unlock(this, 0);
}

bool Mutex::TryLock() {
  static const auto real = Real<bool (*)(Mutex*)>("5Mutex7TryLockEv");
  __tsan_mutex_pre_lock(this, kFlags | __tsan_mutex_try_lock);
  const bool locked = real(this);
  __tsan_mutex_post_lock(this, kFlags | __tsan_mutex_try_lock | (locked ? 0 : __tsan_mutex_try_lock_failed),
                         0);
  return locked;
}

void Mutex::Await(const Condition& condition) {
  static const auto real = Real<void (*)(Mutex*, const Condition&)>("5Mutex5AwaitERKNS0_9ConditionE");
  WaitOn(this, [&] {
    real(this, condition);
    return true;
  });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static const auto real = Real<bool (*)(Mutex*, const Condition&, Duration)>(
      "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return WaitOn(this, [&] { return real(this, condition, timeout); });
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static const auto real =
      Real<bool (*)(Mutex*, const Condition&, Time)>("5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return WaitOn(this, [&] { return real(this, condition, deadline); });
}

void CondVar::Wait(Mutex* mutex) {
  static const auto real = Real<void (*)(CondVar*, Mutex*)>("7CondVar4WaitEPNS0_5MutexE");
  WaitOn(mutex, [&] {
    real(this, mutex);
    return true;
  });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static const auto real =
      Real<bool (*)(CondVar*, Mutex*, Duration)>("7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  return WaitOn(mutex, [&] { return real(this, mutex, timeout); });
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static const auto real =
      Real<bool (*)(CondVar*, Mutex*, Time)>("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  return WaitOn(mutex, [&] { return real(this, mutex, deadline); });
}

ABSL_NAMESPACE_END
}  // namespace absl
