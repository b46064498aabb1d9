// What costs seconds in every test. Only for compile time: each file still includes what it uses.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "connectors/support/precompiled.hpp"
